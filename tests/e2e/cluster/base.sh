# The base of all images where no registry is at hand: a few Debian packages, unpacked. Sourced by
# images.sh, which builds a new base when this file or a package's version has changed.

# The last one, whose name has the compiler's version, holds the licence of the three before it.
base_packages() {
  echo ca-certificates libc6 libgcc-s1 libgomp1 libstdc++6
  dpkg-query --show --showformat='${Depends}' libgcc-s1 | grep --only-matching 'gcc-[0-9]*-base'
}

download_base() {
  (cd "$work" && apt-get download $(base_packages)) >"$work/download.log" 2>&1
}

# unpack_base ROOT: the files of the base packages and nothing else: no shell, no package manager.
unpack_base() {
  local root=$1 package
  # A machine may have no lists of packages yet, or old ones.
  download_base || { apt-get update -qq && download_base; } \
    || { cat "$work/download.log" >&2; fail "could not download the packages of the images' base"; }
  mkdir -p "$root"/{etc/ssl/certs,home/nonroot,var/lib/dpkg/status.d}
  install -d -m 1777 "$root/tmp"
  for package in "$work"/*.deb; do
    dpkg-deb --extract "$package" "$root"
    # Scanners read from here what the image is made of.
    dpkg-deb --field "$package" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)"
  done
  find "$root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + >"$root/etc/ssl/certs/ca-certificates.crt"
  find "$root/usr/share/doc" ! -name copyright -type f -delete
  rm -rf "$root"/usr/{sbin,bin,lib/*/gconv,share/{gdb,man,lintian}} "$root/sbin" "$root"/etc/{ca-certificates,ld.so.conf.d}
  echo "root:x:0:0:root:/root:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin" >"$root/etc/passwd"
  echo "root:x:0:
nonroot:x:65532:" >"$root/etc/group"
  chown 65532:65532 "$root/home/nonroot"
}
