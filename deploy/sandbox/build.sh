#!/bin/sh
# Builds the sandbox image. Does nothing where it is up to date; removes the one it replaces.
#
#   PYTHON   interpreter with Genesis installed: it says which packages, in which versions (default python3)
#   IMAGE    tag of the image                                               (default genesis-sandbox:latest)
#   BASE     base image; chosen here where it isn't given: python:3.11-slim where a registry answers, otherwise
#            genesis-sandbox-base, made by mmdebstrap from Debian's packages (needs root, or user namespaces)
#   SUITE    Debian's release for that                                      (default bookworm: it has Python 3.11)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
case ${PYTHON:-python3} in
    */*) python=$(cd "$(dirname "${PYTHON}")" && pwd)/$(basename "${PYTHON}") ;;
    *) python=${PYTHON:-python3} ;;
esac
image=${IMAGE:-genesis-sandbox:latest}
suite=${SUITE:-bookworm}
build=$here/build
slim=python:3.11-slim
own_base=genesis-sandbox-base:$suite

say() { echo "sandbox image: $*" >&2; }

docker version --format '{{.Server.Version}}' >/dev/null 2>&1 || {
    say "no Docker daemon answers; start one (systemctl start docker), or point DOCKER_HOST at one"
    exit 1
}

cd "$root"
digest=$("$python" -m services.sandboxes.image)
requirements=$("$python" -m services.sandboxes.packages)

wanted=$(printf '%s\n' "$digest" "$requirements" "${BASE:-}" "$suite" "$(cat "$here/Dockerfile")" | sha256sum | cut -d' ' -f1)
has=$(docker image inspect --format '{{index .Config.Labels "genesis.build"}}' "$image" 2>/dev/null || true)
if [ "$has" = "$wanted" ]; then
    say "$image is up to date"
    exit 0
fi

make_own_base() {
    docker image inspect "$own_base" >/dev/null 2>&1 && return
    command -v mmdebstrap >/dev/null || {
        say "no registry answers, and mmdebstrap is not installed (apt-get install mmdebstrap)"
        exit 1
    }
    say "no registry answers: making $own_base from Debian's packages"
    mmdebstrap --quiet --variant=essential --include=python3-minimal,libpython3-stdlib,libstdc++6 \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/*' \
        "$suite" - | docker import - "$own_base" >/dev/null
}

base=${BASE:-}
if [ -z "$base" ]; then
    if docker image inspect "$slim" >/dev/null 2>&1 || timeout 20 docker pull -q "$slim" >/dev/null 2>&1; then
        base=$slim
    else
        make_own_base
        base=$own_base
    fi
fi

version=$(docker run --rm --network none --entrypoint python3 "$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
say "building $image on $base (Python $version)"

# wheels are fetched here, by pip, so that the build needs no network; kept as long as the versions are the same
stamp=$(printf '%s\n' "$requirements" "$version" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$build/.site" 2>/dev/null || true)" != "$stamp" ]; then
    rm -rf "$build/site" "$build/.site"
    mkdir -p "$build"
    printf '%s\n' "$requirements" >"$build/requirements.txt"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-compile \
        --python-version "$version" --target "$build/site" -r "$build/requirements.txt"
    # tests of the libraries are a third of their size
    find "$build/site" -depth -type d -name tests -path '*/pandas/*' -exec rm -rf {} +
    find "$build/site" -depth -type d -name tests -path '*/numpy/*' -exec rm -rf {} +
    # the root file system is read-only: without bytecode every start would compile again
    docker run --rm --network none --user "$(id -u):$(id -g)" -v "$build/site:/opt/site" --entrypoint python3 "$base" \
        -m compileall -q -j 0 /opt/site >/dev/null || say "some modules could not be compiled; they start slower"
    printf '%s' "$stamp" >"$build/.site"
fi
rm -rf "$build/harness"
cp -R "$root/harness" "$build/harness"
find "$build/harness" -depth -name __pycache__ -exec rm -rf {} +
chmod -R go+rX "$build/site" "$build/harness"

before=$(docker image inspect --format '{{.Id}}' "$image" 2>/dev/null || true)
docker build --quiet --network none --build-arg "BASE=$base" --label "genesis.harness=$digest" \
    --label "genesis.build=$wanted" --tag "$image" --file "$here/Dockerfile" "$build" >/dev/null
after=$(docker image inspect --format '{{.Id}}' "$image")
# the one it replaces goes, unless something still runs on it
[ -z "$before" ] || [ "$before" = "$after" ] || docker rmi "$before" >/dev/null 2>&1 || true
say "$image is ready ($(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.0f MB", $1 / 1000000}'))"
