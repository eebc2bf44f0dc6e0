// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"net/netip"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	pathPrefix = regexp.MustCompile(`^/[^\x00-\x20\x7f?#]*$`)
	// strangeSegment is an empty segment, "." or "..": a client's path has none
	// of them when it is compared, so such a prefix would serve nothing.
	strangeSegment = regexp.MustCompile(`//|/[.][.]?(/|$)`)
	origin         = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
)

func (l *Listen) validate(path *field.Path) field.ErrorList {
	errs := within(path.Child("port"), l.Port, 1, 65535, "")
	if l.TLS != nil {
		name := path.Child("tls", "secretName")
		if l.TLS.SecretName == "" {
			errs = append(errs, required(name, "must be the name of a Secret")...)
		}
		errs = append(errs, validateSecretName(name, l.TLS.SecretName)...)
	}
	errs = append(errs, validateSet(path.Child("paths"), l.Paths, 64, 1024, validatePath)...)
	errs = append(errs, validateSet(path.Child("allowedOrigins"), l.AllowedOrigins, 256, 512, validateOrigin)...)
	errs = append(errs, validateSet(path.Child("trustedProxies"), l.TrustedProxies, 256, 64, validateNetwork)...)
	return errs
}

// validateSet checks a list whose items are unique: how many there are, how many
// characters each has, and each by itself.
func validateSet(path *field.Path, items []string, maxItems, maxLength int, validate func(*field.Path, string) field.ErrorList) field.ErrorList {
	var errs field.ErrorList
	if len(items) > maxItems {
		errs = append(errs, field.TooMany(path, len(items), maxItems))
	}
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		at := path.Index(i)
		if seen[item] {
			errs = append(errs, field.Duplicate(at, item))
		}
		seen[item] = true
		errs = append(errs, noLongerThan(at, item, maxLength)...)
		errs = append(errs, validate(at, item)...)
	}
	return errs
}

func validatePath(path *field.Path, value string) field.ErrorList {
	if pathPrefix.MatchString(value) && !strangeSegment.MatchString(value) {
		return nil
	}
	return invalid(path, value, "must start with / and have no spaces, no query, no fragment and no empty, . or .. segments")
}

func validateOrigin(path *field.Path, value string) field.ErrorList {
	if origin.MatchString(value) {
		return nil
	}
	return invalid(path, value, "must be scheme://host or scheme://host:port, without a path, such as https://shop.example")
}

// validateNetwork refuses bits beyond the prefix, because 10.1.2.3/8 is a slip
// for one address at least as often as it means sixteen million.
func validateNetwork(path *field.Path, value string) field.ErrorList {
	network, err := netip.ParsePrefix(value)
	switch {
	case err != nil || network.Addr().Is4In6():
		return invalid(path, value, "must be in CIDR notation, such as 10.0.0.0/8")
	case network != network.Masked():
		return invalid(path, value, fmt.Sprintf("must have no bits set beyond its prefix, such as %s", network.Masked()))
	}
	return nil
}
