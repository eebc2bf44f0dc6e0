// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ForeignError says that an object of a wanted name exists and belongs to
// somebody else. It is left as it is.
type ForeignError struct {
	Kind string
	Name types.NamespacedName
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s %q exists and is not this proxy's; delete or rename it", e.Kind, e.Name.Name)
}

// belongs says whether an object is the owner's: controlled by it, or by nobody
// and with every label that the owner's has. The latter is what remains of an
// owner that was deleted with --cascade=orphan and made again, in order to keep
// its pods.
func belongs(object, owner client.Object, desired Configuration) bool {
	if controller := metav1.GetControllerOf(object); controller != nil {
		return controller.UID == owner.GetUID()
	}
	wanted, err := metadataOf(desired)
	if err != nil {
		return false
	}
	labels := object.GetLabels()
	for k, v := range wanted.Labels {
		if labels[k] != v {
			return false
		}
	}
	return len(wanted.Labels) > 0
}
