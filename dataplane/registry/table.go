// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

// table is a map that gives memory back when much less is in it than was before,
// which a map of Go never does.
type table[K comparable, V any] struct {
	of map[K]V
	// most is how many there were since the map was made.
	most int
}

// few are not worth another map.
const few = 1024

// set puts a value in.
func (t *table[K, V]) set(k K, v V) {
	if t.of == nil {
		t.of = map[K]V{}
	}
	t.of[k] = v
	t.most = max(t.most, len(t.of))
}

// delete takes a value out. What is left moves when it is a quarter of what was there,
// so that is constant work on average.
func (t *table[K, V]) delete(k K) {
	delete(t.of, k)
	if t.most <= few || len(t.of) > t.most/4 {
		return
	}
	less := make(map[K]V, len(t.of))
	for k, v := range t.of {
		less[k] = v
	}
	t.of, t.most = less, len(less)
}
