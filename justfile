# Everything that must hold before a commit, read-only.
verify:
    ./scripts/verify

# What can be mended by a program.
fix:
    cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
    cargo fmt --all

# Known advisories against the dependencies; needs the network.
advisories:
    cargo deny check advisories

# Which lines of the engine no scenario runs.
coverage *flags:
    ./scripts/coverage {{flags}}
