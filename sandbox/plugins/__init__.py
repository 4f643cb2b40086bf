"""Provider plugins for Pulumi's own engine, over the sandbox's kinds: the same containers under the true CLI.

The engine finds them by name on PATH (`bin/`), starts each as a process, and speaks its provider protocol with it.
They play an account of the cloud for tests; a stack of `target: sandbox` needs neither them nor the CLI.
"""
