// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-3 }

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{4, 1}, 2.5},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(test.values); got != test.want {
			t.Errorf("Median(%v) = %v, want %v", test.values, got, test.want)
		}
	}
	if !math.IsNaN(Median(nil)) {
		t.Error("nothing has a median")
	}
}

func TestAnIntervalIsTheNarrowestWithItsConfidence(t *testing.T) {
	values := make([]float64, 0, 20)
	// Which of the sorted values bound the interval of n is in every table of the
	// sign test.
	for n, want := range map[int]struct {
		rank     int
		coverage float64
	}{6: {1, 0.96875}, 8: {1, 0.992188}, 9: {2, 0.960938}, 12: {3, 0.961426}, 20: {6, 0.958611}} {
		values = values[:0]
		for i := range n {
			values = append(values, float64((i*7)%n+1)) // 1..n in some order, for 7 divides no n.
		}
		got := IntervalOf(values)
		if got.Low != float64(want.rank) || got.High != float64(n+1-want.rank) || !near(got.Coverage, want.coverage) || got.Method != Sign {
			t.Errorf("%d values: %+v, want from rank %d with %v", n, got, want.rank, want.coverage)
		}
	}
}

func TestFewValuesHaveAStudentInterval(t *testing.T) {
	// Mean 10, standard deviation 1, so 4.303/sqrt(3) either way.
	got := IntervalOf([]float64{9, 10, 11})
	if !near(got.Low, 10-2.4844) || !near(got.High, 10+2.4844) || got.Method != Student {
		t.Errorf("%+v", got)
	}
	if got := IntervalOf([]float64{7}); got.Low != 7 || got.High != 7 || got.Coverage != 0 || got.Method != None {
		t.Errorf("one value: %+v", got)
	}
	if got := IntervalOf(nil); !math.IsNaN(got.Low) || got.Method != None {
		t.Errorf("no value: %+v", got)
	}
}

func TestAnIntervalHoldsTheTruthAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{3, 5, 6, 9} {
		const trials = 4000
		held := 0
		for range trials {
			values := make([]float64, n)
			for i := range values {
				values[i] = random.NormFloat64()
			}
			if interval := IntervalOf(values); interval.Low <= 0 && 0 <= interval.High {
				held++
			}
		}
		// 4,000 trials have a standard deviation of 0.35 %.
		if share := float64(held) / trials; share < Confidence-0.015 {
			t.Errorf("%d values: %.3f of the intervals hold the truth", n, share)
		}
	}
}

func TestPairedRatiosCancelWhatThePairsHaveInCommon(t *testing.T) {
	// The second round was twice as slow for both.
	got := Paired([][2]float64{{11, 10}, {22, 20}, {11, 10}, {0, 10}})
	if got.Pairs != 3 || !near(got.Median, 1.1) || !near(got.Low, 1.1) || !near(got.High, 1.1) {
		t.Errorf("%+v", got)
	}
	low, high := Paired([][2]float64{{2, 1}, {4, 1}, {8, 1}}), Paired([][2]float64{{1, 2}, {1, 4}, {1, 8}})
	if !near(low.Low*high.High, 1) || !near(low.High*high.Low, 1) {
		t.Errorf("turned round, %+v is not %+v", low, high)
	}
	if got := Paired(nil); got.Pairs != 0 || !math.IsNaN(got.Median) {
		t.Errorf("without pairs: %+v", got)
	}
}
