module lifecycle/door

go 1.22
