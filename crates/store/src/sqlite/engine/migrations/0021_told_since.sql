-- From when on a line's history may be unknown here, for a bridge that is newly given the line.
--
-- When a bridge first said how the line is; null of one that no bridge ever had.
alter table lines add column began_at integer;
update lines set began_at = status_since;
-- When the newest of what a bridge has told of the line was written.
alter table line_positions add column told_at integer;
