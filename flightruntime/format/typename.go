package format

import "github.com/apache/arrow-go/v18/arrow"

// TypeName is a type by the name that pyarrow gives it, for messages to users.
func TypeName(t arrow.DataType) string { return typeName(t) }
