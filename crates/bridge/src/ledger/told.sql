-- By which observation the most of its files were told: told once more it is the same, any other with no more is no news.
alter table late_files add column told_by integer;
-- Whether this bridge carried the line when it was last given; and up to which number it had observed the line when another
-- bridge took it over, for what it was to tell until then nobody else may.
alter table histories add column carries integer not null default 0;
alter table histories add column carried_to integer not null default 0;
