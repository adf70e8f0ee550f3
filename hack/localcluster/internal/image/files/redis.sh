#!/bin/sh
# The published image is open to its network; Debian's program is not unless it is told so.
case "${1:-}" in
*.conf)
    file=$1
    shift
    exec /usr/bin/redis-server "$file" --protected-mode no "$@"
    ;;
esac
exec /usr/bin/redis-server --protected-mode no "$@"
