-- How often a line may answer in one chat, as the model shows it; null is no limit. What is counted for it is written only
-- for lines that have one.
alter table lines add column loop_limit text;
-- Whether the line has answered what came last. Who writes sets it back.
alter table chats add column is_answered integer not null default 0;
-- How many answers were given since then. When they reach the limit, it is the time of the last of them.
alter table chats add column answers integer not null default 0;
alter table chats add column answers_from integer not null default 0;
