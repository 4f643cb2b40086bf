"""The cloud on this machine: instances are systemd containers, security groups nftables rules."""
