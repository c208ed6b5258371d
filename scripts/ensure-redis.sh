#!/bin/sh
# Makes sure that redis-server >= 7.0 (or valkey-server) and redis-cli (or valkey-cli) are there, and python3-redis with
# python3-numpy, which the tests use. Installs Debian's packages when it may; otherwise says in one line what is
# missing.
set -eu

is_new_enough() {
  version=$("$1" --version 2>/dev/null | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
  [ "${version:-0}" -ge 7 ]
}

# The embedded server is what VSTORE_REDIS_SERVER names, else the first of the two that is installed.
have_server() {
  if [ -n "${VSTORE_REDIS_SERVER:-}" ]; then
    is_new_enough "$VSTORE_REDIS_SERVER"
  elif command -v redis-server >/dev/null; then
    is_new_enough redis-server
  else
    is_new_enough valkey-server
  fi
}

have_client() {
  command -v redis-cli >/dev/null || command -v valkey-cli >/dev/null
}

# Debian's own python3 is the one that its package python3-redis is for. Isolated, or it would take the directory redis/
# for it.
have_python_client() {
  /usr/bin/python3 -I -c 'import redis, numpy' 2>/dev/null
}

# The package starts a server on port 6379 unless this file, which Debian's scripts ask, forbids it.
policy=/usr/sbin/policy-rc.d
install_quietly() {
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

lacking=
have_server && have_client || lacking="redis-server redis-tools"
have_python_client || lacking="$lacking python3-redis python3-numpy"
if [ -z "$lacking" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing $lacking"
  install_quietly $lacking
fi
{ have_server && have_client; } || {
  echo "vstore needs redis-server or valkey-server >= 7.0 and its cli: install them, set VSTORE_REDIS_SERVER, or VSTORE_REDIS_URL" >&2
  exit 1
}
