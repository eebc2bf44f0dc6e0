// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chartvalues writes the tables of values into the README of the Helm chart. What
// they say is what the comments of values.yaml say: each value, and each group of values,
// has one above it.
//
// helm-docs does the same for comments that begin with "-- ". Its last release is of
// July 2024, and this is shorter than its list of dependencies.
package main
