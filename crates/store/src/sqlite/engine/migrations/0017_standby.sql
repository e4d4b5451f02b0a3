-- A line may have a second bridge, which observes it and takes it over when the first is away.
alter table lines add column standby_bridge_id blob references bridges (id);
-- Whether the standby has said that it could carry the line now.
alter table lines add column standby_ready integer not null default 0;
-- Whether it was ever taken over: then another bridge may still hold claims of it.
alter table lines add column taken_over integer not null default 0;
create index lines_by_standby on lines (standby_bridge_id) where standby_bridge_id is not null;

-- Until when the bridge's link counts as alive unless it says more, by the steady clock; 0 before its first link.
alter table bridges add column link_until integer not null default 0;
