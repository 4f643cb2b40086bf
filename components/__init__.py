"""The program's resources, one component a file. A component gets typed arguments and never reads configuration."""
