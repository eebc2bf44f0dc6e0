// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"regexp"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxClassNameLength keeps the name of a class fit to be the value of a label.
const maxClassNameLength = 63

// proxyName allows at most 40 characters, because the names of what belongs to a
// proxy are made from its own and a Service's name has at most 63.
var proxyName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`)

// Validate returns what is wrong with the proxy, field by field, and nothing for
// a proxy that an API server with our CRDs would store: the verdicts are the
// same as those of the CRD's schema and CEL rules, for a data plane that runs
// without an API server. It says nothing about status, nor about what another
// object decides, such as the class.
func (p *WebSocketProxy) Validate() field.ErrorList {
	errs := validateProxyName(p.Name, field.NewPath("metadata", "name"))
	return append(errs, p.Spec.validate(field.NewPath("spec"))...)
}

// Validate returns what is wrong with the class, field by field, and nothing for
// a class that an API server with our CRDs would store.
func (c *WebSocketProxyClass) Validate() field.ErrorList {
	errs := validateClassName(c.Name, field.NewPath("metadata", "name"))
	return append(errs, c.Spec.validate(field.NewPath("spec"))...)
}

func validateProxyName(name string, path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return required(path, "every proxy has a name")
	case !proxyName.MatchString(name):
		return invalid(path, name, "must be a DNS label (RFC 1035: lower-case letters, digits and hyphens, "+
			"starting with a letter, ending with a letter or digit) of at most 40 characters")
	}
	return nil
}

func validateClassName(name string, path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return required(path, "every class has a name")
	case len(name) > maxClassNameLength:
		return invalid(path, name, "must have at most 63 characters")
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return invalid(path, name, "must be lower-case letters, digits, hyphens and dots")
	}
	return nil
}

func (s *WebSocketProxySpec) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.ClassName != "" {
		errs = append(errs, validateClassName(s.ClassName, path.Child("className"))...)
	}
	errs = append(errs, within(path.Child("replicas"), s.Replicas, 0, 1000, "pods")...)
	errs = append(errs, s.Listen.validate(path.Child("listen"))...)
	errs = append(errs, s.Upstream.validate(path.Child("upstream"))...)
	errs = append(errs, s.Settings.validate(path.Child("settings"))...)
	errs = append(errs, s.Reconnect.validate(path.Child("reconnect"))...)
	errs = append(errs, s.Limits.validate(path.Child("limits"))...)
	errs = append(errs, s.Drain.validate(path.Child("drain"))...)
	errs = append(errs, s.Service.validate(path.Child("service"))...)
	errs = append(errs, s.PodTemplate.validate(path.Child("podTemplate"))...)
	return errs
}

var imageReference = regexp.MustCompile(`^[!-~]*$`)

func (s *WebSocketProxyClassSpec) validate(path *field.Path) field.ErrorList {
	errs := s.Settings.validate(path.Child("settings"))
	errs = append(errs, s.Limits.validate(path.Child("limits"))...)
	errs = append(errs, s.Drain.validate(path.Child("drain"))...)
	errs = append(errs, noLongerThan(path.Child("image"), s.Image, 1024)...)
	if !imageReference.MatchString(s.Image) {
		errs = append(errs, invalid(path.Child("image"), s.Image,
			"must be an image reference without spaces, such as ghcr.io/wsproxy/dataplane:v1")...)
	}
	errs = append(errs, s.PodTemplate.validate(path.Child("podTemplate"))...)
	return errs
}

func invalid(path *field.Path, value any, must string) field.ErrorList {
	return field.ErrorList{field.Invalid(path, value, must)}
}

func required(path *field.Path, why string) field.ErrorList {
	return field.ErrorList{field.Required(path, why)}
}

// noLongerThan bounds a text in characters, as the maxLength of a schema does.
func noLongerThan(path *field.Path, text string, most int) field.ErrorList {
	if utf8.RuneCountInString(text) > most {
		return field.ErrorList{field.TooLong(path, text, most)}
	}
	return nil
}

// validateSecretName says nothing about an empty name, which is none.
func validateSecretName(path *field.Path, name string) field.ErrorList {
	if name == "" || len(validation.IsDNS1123Subdomain(name)) == 0 {
		return nil
	}
	return invalid(path, name, "must be the name of a Secret (lower-case letters, digits, hyphens and dots)")
}
