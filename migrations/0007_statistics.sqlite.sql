-- Without statistics SQLite thinks that every further column of an index leaves as few rows: "those of this customer" then went
-- through all of its account, or of its slot. These numbers are not counted but said, from what the columns mean, so that a
-- statement is carried out in the same way in an empty database and in one of a million subscribers. A later migration that
-- makes an index runs this again; a test says so, and another one which statements may read whole slots.
analyze sqlite_schema; -- makes the table of statistics
delete from sqlite_stat1;
with
-- Into how many parts a column divides the rows, as a power of two; a column that is not named here is all but unique.
spread (name, bits) as (
    values ('slot', 8), ('account_id', 8), ('mode', 0), ('status', 2), ('clock_id', 2), ('endpoint_id', 2), ('plan_id', 6),
        ('next_plan_id', 2), ('plan_switch_id', 2), ('number', 3)
),
-- A table that is clustered by its key has that index under its own name.
indexes (table_name, listed_name, name, is_unique, entries) as (
    select t.name, l.name, case when l.origin = 'pk' and t.sql like '%without rowid%' then t.name else l.name end, l."unique",
        case l.partial when 1 then 65536 else 1048576 end
    from sqlite_schema t join pragma_index_list(t.name) l
    where t.type = 'table' and t.name not like 'sqlite%'
),
-- How many entries are the same in this column and in all before it.
prefixes (table_name, name, entries, place, sharing) as (
    select i.table_name, i.name, i.entries, c.seqno,
        case when i.is_unique and c.seqno = max(c.seqno) over (partition by i.listed_name) then 1
            else max(i.entries >> sum(coalesce(s.bits, 18)) over (partition by i.listed_name order by c.seqno), 2) end
    from indexes i join pragma_index_info(i.listed_name) c left join spread s on s.name = c.name
)
insert into sqlite_stat1 (tbl, idx, stat)
select table_name, name, entries || ' ' || group_concat(sharing, ' ' order by place) from prefixes group by table_name, name;
analyze sqlite_schema; -- reads them
