-- Whether the body is encrypted with the server's key, because it shows a secret.
alter table answers add column is_sealed integer not null default 0;
