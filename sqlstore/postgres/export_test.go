package postgres

// What tests of the statements themselves need.
var Prefer = prefer

const SQLNow = sqlNow

const LinesPage = linesPage
