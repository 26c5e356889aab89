#!/usr/bin/env bash
# Builds images without a registry and reads them into the cluster. Sourced by up.sh; run:
#
#   images.sh build NAME PROGRAM    searchop/NAME:dev with PROGRAM, if it is not built; prints the archive
#   images.sh load DIR ARCHIVE…     into the cluster of up.sh in DIR
#
# Archives lie in the cache, named after what is in them.

[ "${cluster_dir:-}" ] || { set -euo pipefail; source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"; source "$cluster_dir/machine.sh"; }

source "$cluster_dir/base.sh"

images=$searchop_cache/images

# Copies instead of mounts, and a storage that goes away with the work folder.
builder() {
  mkdir -p "$work/lib"
  # Some of what buildah keeps has a fixed place; it sees the work folder there.
  unshare --mount sh -c 'mount --bind "$0" /var/lib && exec "$@"' "$work/lib" \
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# base_image: the archive of the base, built if these versions have not been.
base_image() {
  local versions archive
  versions=$(apt-cache policy $(base_packages) | grep -E '^[^ ]|Candidate')
  archive=$(archive_name base "$cluster_dir/base.sh" <(echo "$versions"))
  if [ ! -f "$archive" ]; then
    unpack_base "$work/base" >&2
    builder from --name base scratch >/dev/null
    builder copy --quiet base "$work/base" / >/dev/null
    builder config --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt --env PATH=/ base
    keep "$archive" base "$(builder commit --quiet base searchop-base)" oci-archive
  fi
  echo "$archive"
}

# keep ARCHIVE NAME IMAGE TRANSPORT [REFERENCE]: in place of older archives of that name.
keep() {
  builder push --quiet "$3" "$4:$1.partial.$$${5:+:$5}" >&2
  rm -f "$images/$2"-????????????.tar
  mv "$1.partial.$$" "$1"
}

# with_work COMMAND…: in a subshell with a work folder that goes away with it.
with_work() (
  mkdir -p "$images"
  work=$(mktemp -d "${TMPDIR:-/tmp}/searchop-image.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$@"
)

# archive_name NAME FILE…: where the image made of these files is kept.
archive_name() {
  local name=$1
  shift
  echo "$images/$name-$(cat "$@" | sha256sum | cut -c1-12).tar"
}

# build_image NAME PROGRAM: prints the archive.
build_image() {
  local name=$1 program=$2 dockerfile=$cluster_dir/../../../Dockerfile archive base=${base:-}
  [ -n "$base" ] || base=$(base_image)
  archive=$(archive_name "$name" "$program" "$dockerfile" <(echo "$base"))
  if [ ! -f "$archive" ]; then
    mkdir "$work/context"
    strip -o "$work/context/$(basename "$program")" "$program"
    builder build --quiet --build-arg BASE="oci-archive:$base" --build-arg PROGRAM="$(basename "$program")" \
      --file "$dockerfile" --tag "searchop/$name:dev" "$work/context" >/dev/null
    keep "$archive" "$name" "searchop/$name:dev" docker-archive "docker.io/searchop/$name:dev"
  fi
  echo "cluster: image searchop/$name:dev is $(($(stat -c %s "$archive") / 1000000)) MB" >&2
  echo "$archive"
}

# build_pause: the image that the runtime holds each pod's namespaces with; prints the archive.
build_pause() {
  local source=$cluster_dir/tools/pause.c archive
  archive=$(archive_name pause "$source")
  if [ ! -f "$archive" ]; then
    cc -Os -static -s -o "$work/pause" "$source"
    builder from --name pause scratch >/dev/null
    builder copy --quiet pause "$work/pause" / >/dev/null
    builder config --user 65535:65535 --entrypoint '["/pause"]' pause
    keep "$archive" pause "$(builder commit --quiet pause searchop/pause:dev)" docker-archive docker.io/searchop/pause:dev
  fi
  echo "$archive"
}

# cluster_image NAME: the archive of one of the cluster's own parts.
cluster_image() {
  case $1 in
  pause) with_work build_pause ;;
  coredns) with_work build_image coredns "$(tool_folder coredns)/coredns" ;;
  metrics-server) with_work build_image metrics-server "$(tool_folder metrics-server)/metrics-server" ;;
  s3) with_work build_image s3 "$(tool_folder s3s-fs)/s3s-fs" ;;
  esac
}

# build_cluster_images: sets cluster_archives.
build_cluster_images() {
  local name base
  use_tools coredns metrics-server s3s-fs
  base=$(with_work base_image)
  for name in pause coredns metrics-server s3; do
    cluster_archives+=("$(cluster_image "$name")")
  done
}

# load_images ARCHIVE…: into the runtime of the cluster in DIR.
load_images() {
  local archive
  for archive in "$@"; do
    inside ctr --namespace k8s.io images import "$archive" >>"$DIR/logs/images.log"
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:-} in
  build) with_work build_image "${2:?name}" "${3:?program}" ;;
  load) DIR=${2:?folder} && shift 2 && load_images "$@" ;;
  *) fail "unknown command \"${1:-}\"; see the head of \"$0\"" ;;
  esac
fi
