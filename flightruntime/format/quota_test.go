package format

import "testing"

func TestQuotaGrowsWithTheObject(t *testing.T) {
	for _, c := range []struct{ size, want int64 }{
		{10, minQuota},
		{minQuota, minQuota * maxRatio},
		{1 << 62, minQuota}, // a size that no file has
	} {
		if got := quotaFor(c.size); got != c.want {
			t.Errorf("limit %d for an object of %d bytes, want %d", got, c.size, c.want)
		}
	}
}
