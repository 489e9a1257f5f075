# syntax=docker/dockerfile:1

# One static binary is the whole image: the load generator and each of the bundled services.
#
#   docker build -t captest:local .
#   docker run --rm captest:local run                    the experiment, everything in one container
#   docker compose -f deploy/compose.yaml up             the services, one container each

# Builds on the machine's own architecture for any other: Go needs no emulator to do so.
FROM --platform=$BUILDPLATFORM golang:1.26-trixie AS build
WORKDIR /src
# The toolchain is the image's, never one fetched on the way.
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags="-s -w" -o /out/captest ./cmd/captest
RUN mkdir -m 0700 /out/data

FROM scratch
# For downstream services and targets behind https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/captest /captest
# The only place that is written to: databases (--store-dir /data), and as TMPDIR everything that has no other place.
COPY --from=build --chown=65532:65532 /out/data /data
ENV TMPDIR=/data
VOLUME ["/data"]
WORKDIR /data
USER 65532:65532
EXPOSE 8001 8003 8004 8080
# Of the default command; a container with another one brings its own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/captest", "probe", "http://127.0.0.1:8001/ready"]
ENTRYPOINT ["/captest"]
# All four on loopback in one container. Alone and for others: serve user --alone --listen 0.0.0.0:8001 --downstream …
CMD ["serve"]
