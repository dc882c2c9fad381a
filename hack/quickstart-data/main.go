// Command quickstart-data copies a folder into another: the sample data of its image onto the claim of the quickstart.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: quickstart-data FROM TO")
		os.Exit(2)
	}
	from, to := os.Args[1], os.Args[2]
	if err := replace(to, from); err != nil {
		fmt.Fprintf(os.Stderr, "copy %s to %s: %v\n", from, to, err)
		os.Exit(1)
	}
	fmt.Printf("copied %s to %s\n", from, to)
}

// replace copies what is in from over what is in to. Files that exist already are replaced: the copy may be run again.
func replace(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range entries {
		if err := root.RemoveAll(e.Name()); err != nil {
			return err
		}
	}
	return os.CopyFS(to, os.DirFS(from))
}
