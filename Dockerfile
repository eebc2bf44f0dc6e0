# syntax=docker/dockerfile:1

# The images, with a container engine:
#
#     docker build --target operator  --build-arg VERSION=v0.1.0 -t example.com/wsproxy/operator:v0.1.0 .
#     docker build --target dataplane --build-arg VERSION=v0.1.0 -t example.com/wsproxy/dataplane:v0.1.0 .
#
# `make images` makes the same ones without an engine, and the project's own cluster, demo and tests use those.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
ARG TARGETARCH
# The build command is that of hack/images, so that both ways give the same binaries.
RUN go run ./hack/images -archives=false -bin /out -version "$VERSION" -commit "$COMMIT" ${TARGETARCH:+-arch "$TARGETARCH"}
RUN printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >/out/passwd \
 && printf 'root:x:0:\nnonroot:x:65532:\n' >/out/group

FROM scratch AS base
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532
WORKDIR /

FROM base AS operator
COPY --from=build /out/operator /operator
ENTRYPOINT ["/operator"]

FROM base AS apiserver
COPY --from=build /out/apiserver /apiserver
ENTRYPOINT ["/apiserver"]

FROM base AS dataplane
COPY --from=build /out/dataplane /dataplane
ENTRYPOINT ["/dataplane"]

FROM base AS echo
COPY --from=build /out/echo /echo
ENTRYPOINT ["/echo"]
