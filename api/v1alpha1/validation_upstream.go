// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (u *Upstream) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case u.ServiceRef != nil && u.URL != "":
		errs = invalid(path, u.URL, "exactly one of serviceRef and url must be set, and both are")
	case u.ServiceRef == nil && u.URL == "":
		errs = required(path, "exactly one of serviceRef and url must be set, and neither is")
	}
	if u.ServiceRef != nil {
		errs = append(errs, u.ServiceRef.validate(path.Child("serviceRef"))...)
	}
	if u.URL != "" {
		errs = append(errs, validateURL(path.Child("url"), u.URL)...)
	}
	if u.TLS != nil {
		if strings.HasPrefix(u.URL, "ws://") {
			errs = append(errs, field.Forbidden(path.Child("tls"), "tls needs serviceRef, or a url that starts with wss://, not ws://"))
		}
		errs = append(errs, u.TLS.validate(path.Child("tls"))...)
	}
	return errs
}

func (r *ServiceReference) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case r.Name == "":
		errs = required(path.Child("name"), "must be the name of a Service")
	case len(validation.IsDNS1123Label(r.Name)) > 0:
		errs = invalid(path.Child("name"), r.Name,
			"must be the name of a Service (lower-case letters, digits and hyphens, at most 63 characters)")
	}
	return append(errs, within(path.Child("port"), &r.Port, 1, 65535, "")...)
}

func (t *UpstreamTLS) validate(path *field.Path) field.ErrorList {
	errs := validateSecretName(path.Child("caSecretName"), t.CASecretName)
	if t.ServerName != "" && !isIP(t.ServerName) && len(validation.IsDNS1123Subdomain(t.ServerName)) > 0 {
		errs = append(errs, invalid(path.Child("serverName"), t.ServerName, "must be a DNS name in lower case or an IP address")...)
	}
	return append(errs, validateSecretName(path.Child("clientCertSecretName"), t.ClientCertSecretName)...)
}

var (
	printable = regexp.MustCompile(`^[!-~]*$`)
	userInfo  = regexp.MustCompile(`^[^/]*//[^/]*@`)
	// hostName is more than a DNS name: a compose file may have an underscore in
	// the names of its services.
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*[.]?$`)
)

func validateURL(path *field.Path, value string) field.ErrorList {
	errs := noLongerThan(path, value, 2048)
	// The value is not repeated: it would carry a password into the log.
	if userInfo.MatchString(value) {
		return append(errs, field.Forbidden(path,
			"url carries a user or a password, must carry neither: they would be in the log, in etcd and in every backup"))
	}
	scheme, _, _ := strings.Cut(value, "/")
	switch {
	case scheme != "ws:" && scheme != "wss:" || !strings.HasPrefix(value, scheme+"//"):
		errs = append(errs, invalid(path, value, "must start with ws:// or wss://")...)
	case strings.ContainsAny(value, "?#"):
		errs = append(errs, invalid(path, value, "has a query or a fragment, must have neither: the query is the client's")...)
	case !isUpstreamURL(value):
		errs = append(errs, invalid(path, value,
			"must be an absolute URL with a host, and a port of 1 to 65535 if any, such as wss://chat.example.com/ws")...)
	}
	return errs
}

func isUpstreamURL(value string) bool {
	parsed, err := url.Parse(value)
	if err != nil || !printable.MatchString(value) || strings.HasSuffix(parsed.Host, ":") {
		return false
	}
	if host := parsed.Hostname(); !isIP(host) && !hostName.MatchString(host) {
		return false
	}
	if parsed.Port() == "" {
		return true
	}
	port, err := strconv.ParseUint(parsed.Port(), 10, 16)
	return err == nil && port != 0 && len(parsed.Port()) <= 5
}

// isIP reports whether text is an IP address as Kubernetes accepts it: without a
// zone, and not an IPv4 address in IPv6 form.
func isIP(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Zone() == "" && !addr.Is4In6()
}
