# syntax=docker/dockerfile:1
#
# The image where there is a container engine and images can be pulled:
#
#   docker build --tag dunghan:0.1.0 .
#
# `make image` makes one of the same content, but for the files it is laid on, without an engine and without pulling.

# Debian 12 in both stages: the binary wants the C library that it was linked with, or a newer one.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked -p dunghan \
    # Symbols stay, for backtraces; lines and locals are four fifths of the file.
    && strip --strip-debug -o /dunghan target/release/dunghan \
    && mkdir /data

# No shell and no package manager; certificates, time zones and a user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="dunghan" \
      org.opencontainers.image.description="Keeps periodic reports and dossiers on time" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /dunghan /usr/bin/dunghan
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV DUNGHAN_DATA_DIR=/data
VOLUME /data
EXPOSE 7878 9090
ENTRYPOINT ["/usr/bin/dunghan"]
# An argument of its own rather than the environment: a configuration file may say otherwise to whoever gives other arguments.
CMD ["serve", "--listen", "0.0.0.0:7878"]
