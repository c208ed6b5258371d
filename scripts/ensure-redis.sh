#!/bin/sh
# Makes sure that redis-server >= 7.0 and redis-cli are there, and python3-redis, one of the clients that the tests use.
# Installs Debian's packages when it may; otherwise says in one line what is missing.
set -eu

have_redis() {
  version=$(redis-server --version 2>/dev/null | sed -n 's/.* v=\([0-9]*\)\..*/\1/p')
  [ "${version:-0}" -ge 7 ] && command -v redis-cli >/dev/null
}

# Debian's own python3 is the one that its package python3-redis is for.
have_python_client() {
  /usr/bin/python3 -c 'import redis' 2>/dev/null
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

if have_redis && have_python_client; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing redis-server, redis-tools and python3-redis"
  install_quietly redis-server redis-tools python3-redis
fi
have_redis || { echo "vstore needs redis-server >= 7.0 and redis-cli: install them, or set VSTORE_REDIS_URL" >&2; exit 1; }
