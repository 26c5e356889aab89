# One image a program: a built program on a base that has glibc, libstdc++, libgomp and CA
# certificates, and neither shell nor package manager. Nothing is compiled here, so that what
# was tested is what ships: build PROGRAM against the base's glibc or an older one.
# The program keeps its name; whoever runs the image says "command: [/searchop-ranker]".
ARG BASE=gcr.io/distroless/cc-debian12
FROM ${BASE}
ARG PROGRAM
COPY --chmod=0755 ${PROGRAM} /
USER 65532:65532
