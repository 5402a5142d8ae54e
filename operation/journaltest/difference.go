package journaltest

import (
	"fmt"
	"reflect"
	"time"
)

// difference says where got is another value than want; "" = nowhere. Lists of structs and texts may be nil or empty;
// bytes may not. Times are the same only in the same zone and without a monotonic clock.
func difference(got, want any) string {
	return differ("", reflect.ValueOf(got), reflect.ValueOf(want))
}

func differ(path string, got, want reflect.Value) string {
	_, isTime := want.Interface().(time.Time)
	switch {
	case isTime || want.Kind() == reflect.Interface:
	case want.Kind() == reflect.Pointer && !got.IsNil() && !want.IsNil():
		return differ(path, got.Elem(), want.Elem())
	case want.Kind() == reflect.Struct:
		for i := range want.NumField() {
			if d := differ(path+"."+want.Type().Field(i).Name, got.Field(i), want.Field(i)); d != "" {
				return d
			}
		}
		return ""
	case want.Kind() == reflect.Slice && want.Type().Elem().Kind() != reflect.Uint8:
		if got.Len() != want.Len() {
			return fmt.Sprintf("%s has %d elements: %+v; want %d: %+v", path, got.Len(), got, want.Len(), want)
		}
		for i := range want.Len() {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i)); d != "" {
				return d
			}
		}
		return ""
	}
	if reflect.DeepEqual(got.Interface(), want.Interface()) {
		return ""
	}
	return fmt.Sprintf("%s = %.200s; want %.200s", path, show(got), show(want))
}

func show(v reflect.Value) string { return fmt.Sprintf("%#v", v.Interface()) }
