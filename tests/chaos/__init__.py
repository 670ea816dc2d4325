"""Real processes under load while everything is killed, stopped and wiped; then the clients' own history decides."""
