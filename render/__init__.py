"""Pure functions from settings to files: nothing here knows Pulumi or touches a server."""
