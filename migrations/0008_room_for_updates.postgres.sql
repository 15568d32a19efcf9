-- A renewal changes its subscription twice, and no column that has an index. Where the page has room, PostgreSQL writes the new
-- row beside the old one and leaves the table's nine indexes alone; where it is full, each change writes to all of them. So half
-- of every new page stays empty; what earlier changes leave there is used again. With a fifth, two of five changes found room in a
-- run (`bench renewals`); with a half, all but one in a hundred.
alter table subscriptions set (fillfactor = 50);
