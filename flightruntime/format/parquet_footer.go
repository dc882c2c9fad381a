package format

import (
	"container/list"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/flight-operator/flight-operator/flightruntime/source"
)

// footer is what a Parquet file says of itself, checked, and what follows from it for all who read the file. It never changes, and any number of
// reads may use it at a time.
type footer struct {
	version string // of the object
	meta    *metadata.FileMetaData
	schema  *arrow.Schema
	fields  []pqarrow.SchemaField // one for each of the schema's
	firsts  []int                 // of each unit, the first row group
	units   []Unit
	rows    int64 // of the units
}

// readParquetFooter reads a file's footer, and checks all that it says of where things are.
func readParquetFooter(o source.Object, r io.ReaderAt) (*footer, error) {
	if err := checkParquetMagic(o, r); err != nil {
		return nil, err
	}
	f, err := file.NewParquetReader(section(o, r))
	if err != nil {
		return nil, fmt.Errorf("its Parquet footer cannot be read, the file is damaged: %w", undecodable(err))
	}
	meta := f.MetaData()
	if meta.IsSetEncryptionAlgorithm() {
		return nil, errEncrypted
	}
	if err := checkChunks(meta, o.Size()); err != nil {
		return nil, err
	}
	if err := checkStoredSchema(meta.KeyValueMetadata()); err != nil {
		return nil, err
	}
	stored, err := hideExtensions(meta)
	if err != nil {
		return nil, err
	}
	manifest, err := pqarrow.NewSchemaManifest(meta.Schema, meta.KeyValueMetadata(), &pqarrow.ArrowReadProperties{})
	if err != nil {
		return nil, fmt.Errorf("its schema has no counterpart in Arrow: %w", undecodable(err))
	}
	found := &footer{version: o.Version(), meta: meta, fields: manifest.Fields}
	if stored == nil {
		stored = manifest.OriginSchema
	}
	if found.schema, err = schemaOf(meta, stored); err != nil {
		return nil, err
	}
	readAsStored(found.fields, meta.Schema)
	if err := found.divide(o); err != nil {
		return nil, err
	}
	return found, nil
}

// groupRows are those of a row group.
func (f *footer) groupRows(group int) int64 { return f.meta.GetRowGroups()[group].GetNumRows() }

// fileID stands for one version of a file, in whichever layouts it is a part.
type fileID struct {
	_ byte // so that no two have the same address
}

const (
	// footerGrowth times what it takes in its file, a footer takes in memory: that is measured as 6, for numbers with statistics.
	footerGrowth = 8
	// mostFooters bytes are kept of footers: those of 50 files that have 100 row groups of 6 columns each.
	mostFooters = 32 << 20
	// largestFooter: one that takes more is read by each call, rather than that no other is kept.
	largestFooter = mostFooters / 4
)

// size is about what the footer takes in memory.
func (f *footer) size() int64 { return int64(f.meta.Size()) * footerGrowth }

// footers are those of the files that the process reads. To parse a footer takes longer than to decode a row group of some columns.
var footers = newRecentFooters(mostFooters)

// recentFooters keeps the footers that were used last, as long as there is room.
type recentFooters struct {
	mu     sync.Mutex
	room   int64 // bytes
	recent *list.List
	of     map[*fileID]*list.Element // of keptFooter
}

type keptFooter struct {
	*footer
	of *fileID
}

func newRecentFooters(room int64) *recentFooters {
	return &recentFooters{room: room, recent: list.New(), of: map[*fileID]*list.Element{}}
}

// get is the footer of a file's version; nil if it is not kept.
func (r *recentFooters) get(id *fileID, version string) *footer {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.of[id]
	if e == nil {
		return nil
	}
	r.recent.MoveToFront(e)
	if kept := e.Value.(keptFooter); kept.version == version {
		return kept.footer
	}
	return nil
}

// put keeps a footer, in place of those that have not been used for longest.
func (r *recentFooters) put(id *fileID, f *footer) {
	if id == nil || f.size() > largestFooter {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.of[id]; e != nil {
		r.drop(e)
	}
	r.of[id] = r.recent.PushFront(keptFooter{f, id})
	for r.room -= f.size(); r.room < 0; {
		r.drop(r.recent.Back())
	}
}

func (r *recentFooters) drop(e *list.Element) {
	kept := r.recent.Remove(e).(keptFooter)
	delete(r.of, kept.of)
	r.room += kept.size()
}

// footerOf is the footer of a part's object, which is read if it is not kept.
func (p *Part) footerOf(r io.ReaderAt) (*footer, error) {
	if known := footers.get(p.id, p.Object.Version()); known != nil {
		return known, nil
	}
	f, err := readParquetFooter(p.Object, r)
	if err == nil {
		footers.put(p.id, f)
	}
	return f, err
}
