# A Ray cluster of a few hosts, by hand. On every host: Python with structes[ray], the same versions.
# Nobody joins, and nobody runs code here, without the token; Ray listens on the address that it is
# told. The health checks see a dead or unreachable host in about five seconds instead of a minute.

# on every host, the head first; the same token everywhere (openssl rand -hex 32 makes one)
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... RAY_USAGE_STATS_ENABLED=0
export RAY_health_check_initial_delay_ms=1000 RAY_health_check_period_ms=500 \
       RAY_health_check_timeout_ms=1000 RAY_health_check_failure_threshold=3

# on the head: it coordinates, and runs the search
ray start --head --port 6399 --node-ip-address "$HEAD" --include-dashboard=false

# on every other host, now or while a search runs: it is used as soon as it is there. A host that
# was cut off leaves the cluster for good, so let systemd or a loop start it again
ray start --address "$HEAD:6399" --block

# on the head
structes run cluster --address "$HEAD:6399"
