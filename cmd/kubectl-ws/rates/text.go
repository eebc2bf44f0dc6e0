// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rates

import "strconv"

// PerSecond is a rate of messages or so with about three digits: 0, 0.5, 12, 1.2k.
func PerSecond(rate float64) string { return scaled(rate, 1000, []string{"", "k", "M", "G", "T"}) }

// BytesPerSecond is a rate of bytes with about three digits: 0B, 512B, 1.2Ki.
func BytesPerSecond(rate float64) string {
	return scaled(rate, 1024, []string{"B", "Ki", "Mi", "Gi", "Ti"})
}

// scaled leaves the fraction away where it says nothing: of 100 and more, and of nothing
// at all.
func scaled(value, base float64, units []string) string {
	unit := 0
	// 999.5 of one unit would be shown as 1000.
	for value >= base-0.5 && unit < len(units)-1 {
		value /= base
		unit++
	}
	digits := 1
	if value >= 99.95 || value < 0.05 {
		digits = 0
	}
	return strconv.FormatFloat(value, 'f', digits, 64) + units[unit]
}
