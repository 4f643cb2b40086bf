"""`python -m bench [NAME …]`: run the measurements, print them, write the report."""

import sys
import time

from bench import deploy, http, release, report, scores

_BENCHES = {
    "Deploying": deploy.measure,
    "Releases under load": release.measure,
    "Serving": http.measure,
    "Scores": scores.measure,
}


def main(names: list[str]) -> None:
    """Run those whose name begins with one of `names`; all when there is none."""
    for heading, measure in _BENCHES.items():
        if names and not any(heading.lower().startswith(name.lower()) for name in names):
            continue
        body = f"{report.machine()}, {time.strftime('%Y-%m-%d')}\n\n{report.table(measure())}"
        print(f"## {heading}\n\n{body}\n", flush=True)
        report.write({heading: body})


main(sys.argv[1:])
