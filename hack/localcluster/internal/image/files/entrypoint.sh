#!/bin/sh
# Without a command, or with options only, the image's own program runs.
case "${1:--}" in
-*) exec PROGRAM "$@" ;;
esac
exec "$@"
