module github.com/graced/graced

go 1.26.0
