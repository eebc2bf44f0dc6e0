// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command images builds the binaries and packs each into an image archive, the
// format of `docker save`, without a container engine:
//
//	go run ./hack/images
//
// leaves bin/operator and bin/images/operator.tar, tagged
// localhost/wsproxy/operator:dev, and the same for the others. Archives can be
// loaded with `hack/cluster load`, `docker load`, `kind load image-archive` and
// `ctr images import`.
//
// With -registry it makes what a release publishes instead: an OCI image layout of
// several architectures for each image, with annotations, under its full name. See
// hack/release.
//
// The same sources, Go, version and CA certificates give the same bytes. The standard library is
// enough for the format, so building needs no module that the product does not.
// The Dockerfile makes the same images with an engine; its build command must
// stay the one of build.go.
package main
