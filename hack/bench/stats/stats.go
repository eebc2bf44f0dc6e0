// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"slices"
)

// Confidence is the least probability with which an interval is to hold the true
// value, where there are enough values for that.
const Confidence = 0.95

// signMinimum is the number of values from which on the widest sign interval has
// Confidence: 1 - 2/2^6 is 0.969, with five values it is 0.9375.
const signMinimum = 6

// Interval is where the true median (Sign) or mean (Student) lies.
type Interval struct {
	Low, High float64
	// Coverage is the probability of that, 0 where one value allows none.
	Coverage float64
	// Method is how it was found: Sign, Student or None.
	Method string
}

// The methods of an interval.
const (
	// Sign takes two of the sorted values. It assumes nothing but that each is as
	// likely to be above the true median as below it.
	Sign = "sign"
	// Student is the t interval, for so few values that Sign cannot reach
	// Confidence. It assumes that they are normally distributed.
	Student = "t"
	// None is a single value.
	None = "none"
)

// Median returns the middle of the values, NaN of none.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// IntervalOf returns where the true value behind the values lies.
func IntervalOf(values []float64) Interval {
	switch n := len(values); {
	case n == 0:
		return Interval{Low: math.NaN(), High: math.NaN(), Method: None}
	case n == 1:
		return Interval{Low: values[0], High: values[0], Method: None}
	case n < signMinimum:
		return student(values)
	default:
		return sign(values)
	}
}

// Ratios is what came out of pairs of positive values.
type Ratios struct {
	// Pairs is how many there were.
	Pairs int
	// Median of their ratios; NaN where there are none.
	Median float64
	Interval
}

// Paired returns the ratios of the first value of each pair to the second. Pairs
// with a value that is not positive have none and are left out.
func Paired(pairs [][2]float64) Ratios {
	var ratios, logs []float64
	for _, pair := range pairs {
		if pair[0] > 0 && pair[1] > 0 {
			ratios = append(ratios, pair[0]/pair[1])
			logs = append(logs, math.Log(pair[0]/pair[1]))
		}
	}
	// A ratio of 2 is as far from 1 as one of 1/2, hence the logarithms.
	interval := IntervalOf(logs)
	interval.Low, interval.High = math.Exp(interval.Low), math.Exp(interval.High)
	return Ratios{Pairs: len(ratios), Median: Median(ratios), Interval: interval}
}

// sign returns the narrowest interval between the k-th value from either end that
// has Confidence: the true median is outside if fewer than k of n fair coins fall
// on one side.
func sign(values []float64) Interval {
	n := len(values)
	sorted := slices.Sorted(slices.Values(values))
	tail, coin := 0.0, math.Pow(0.5, float64(n)) // P(exactly k heads), beginning with k = 0
	k, coverage := 0, 1.0
	for {
		tail += coin
		if 1-2*tail < Confidence {
			break
		}
		coverage = 1 - 2*tail
		coin *= float64(n-k) / float64(k+1)
		k++
	}
	return Interval{Low: sorted[k-1], High: sorted[n-k], Coverage: coverage, Method: Sign}
}

// quantiles of Student's t for a two-sided 95 % interval, by degrees of freedom.
var quantiles = [signMinimum - 1]float64{1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}

func student(values []float64) Interval {
	n := float64(len(values))
	var mean, squares float64
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	half := quantiles[len(values)-1] * math.Sqrt(squares/(n-1)/n)
	return Interval{Low: mean - half, High: mean + half, Coverage: Confidence, Method: Student}
}
