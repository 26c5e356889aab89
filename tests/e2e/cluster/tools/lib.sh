# Where the cluster's programs are kept. Sourced, not run.
#
# Every product lies outside the checkout, in a folder named after what it was built from:
# a fresh clone finds them built, and a changed version is a new folder.

tools_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
searchop_cache=${SEARCHOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/searchop}

# tool_folder NAME: the folder of the tool's programs, there or not yet.
tool_folder() {
  local hash
  hash=$(cd "$tools_dir" && find "$1" -type f | LC_ALL=C sort | xargs cat build.sh | sha256sum)
  echo "$searchop_cache/tools/$1-${hash:0:12}"
}
