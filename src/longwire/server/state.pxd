# Compiled as it stands: on the way of every handshake.
