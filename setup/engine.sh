#!/usr/bin/env bash
# Builds Pulumi's CLI, the true engine, for tests/engine: .cache/engine/bin/pulumi. Done once for each go.sum.
#
# Its installer is not to be had everywhere, its source is, as a Go module (tests/engine/go.mod names the version).
# Several callers may come at once: one builds, the others wait.
set -euo pipefail
cd "$(dirname "$0")/.."

module=tests/engine
engine=.cache/engine
mkdir -p "$engine/bin"
exec 9>"$engine/lock"
flock 9

wanted=$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c1-16)
if [ -x "$engine/bin/pulumi" ] && [ "$(cat "$engine/built" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

export GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0
go=go
# Fails where there is no Go, and where it is older than go.mod asks for.
if ! go -C "$module" list -m >/dev/null 2>&1; then
    echo "Bringing Go along" >&2
    rm -rf "$engine/go"
    "${PYTHON:-python3}" -m venv "$engine/go"
    "$engine/go/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
        --requirement "$module/requirements.txt"
    go=$("$engine/go/bin/python" -c 'import go, pathlib; print(pathlib.Path(go.__file__).with_name("bin") / "go")')
fi

version=$(sed -n 's|^\tgithub.com/pulumi/pulumi/pkg/v3 \(v[0-9.]*\).*|\1|p' "$module/go.mod")
echo "Building Pulumi $version, some minutes, this once" >&2
"$go" -C "$module" build -trimpath -o "$PWD/$engine/bin/pulumi.part" \
    -ldflags "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=$version" \
    github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
mv "$engine/bin/pulumi.part" "$engine/bin/pulumi"
# Beside the CLI, as its release has it (a stand-in: it is in no registry).
ln -sf ../../../tests/engine/bin/pulumi-language-python "$engine/bin/pulumi-language-python"
echo "$wanted" >"$engine/built"
