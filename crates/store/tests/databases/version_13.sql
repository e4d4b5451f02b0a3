-- A database as the last release with version 13 wrote it and left it when it was killed: texts both ways, a group, a file,
-- reactions, typing, receipts, an edit, a message taken back, a paired sandbox, webhooks of which one can't be reached,
-- a replay, answers under idempotency keys. Its secrets are sealed with version_13.key.
PRAGMA foreign_keys = off;
BEGIN TRANSACTION;
CREATE TABLE accounts (
    seq integer primary key,
    id text not null unique,
    name text not null,
    created_at integer not null
) strict;
INSERT INTO "accounts" VALUES(1,'acc_01m8j2682aem7vqh2v7xrjdxgz','Development',1795902611530);
INSERT INTO "accounts" VALUES(2,'acc_01m8j2682be0gas3f5qn58netx','Sandbox',1795902611530);
CREATE TABLE answers (
    seq integer primary key,
    key_id text not null references keys (id),
    operation text not null,
    idempotency_key text not null,
    -- The SHA-256 of the request's body.
    request blob not null,
    status integer not null,
    body blob not null,
    created_at integer not null, is_sealed integer not null default 0,
    unique (key_id, operation, idempotency_key)
) strict;
INSERT INTO "answers" VALUES(1,'key_01m8j2682be0gas3f5qkakqyx5','POST /v1/webhooks','hook',X'4C32689EB95E406D189767555DBAFDFEB92145782BA4F1FB4097D6DF0289EAB4',201,X'0141A9B5DBF7A66E2C54EE404B6D99C278E662CFB85E8410D1EA071CEFC9C55BDCDD1033F024E7ED8DCE6E1179393D88C5A55C5A2A438C20AF4F434FB2D1111139B7EC30CB2E99A9B57EAF4866B34AA9757B8D23BEBE044D84ED2DE26E2C0DCEB4608A85FC2F90E1ED32A55C658615D6E332066899B0180D6500CB543491E69070B25BAEA57353B052CD18CDAF28566BA7A16297412A6ACB2C19EE89159C488806F35854F67B060C258369257D1F09A16942B2C46E9F99E945EDE7BB76D6C6752CBD1E7E5E6101B4A30F7EF98E06C0241D918CA9B07CF407100ED0198272D40F0767823CCA6C2E3A992A897C27CF248468AB30A13653B562DCF8EDB464657350CAD973D436A55450D5C77DF22DE2AF14103F934A5223C2B8D49670FFF1940AE1BF8277EBC2B7E7D7A63EC50A858328C12A66AA94B323EF87B7A71C6E73FB959F3F786320C615BB571CD1689F600D1EADD4806081CDB993DE6150C513297FDCB22779033EC2114DD0BC36DD94A9F7CD8B0AC426865B88B4C4FF1862D1C07D0F6B3ED37459FE9312546B25',1795902637487,1);
INSERT INTO "answers" VALUES(2,'key_01m8j2682be0gas3f5qkakqyx5','POST /v1/messages','k0',X'FE5913024AC4C7257D635019AB864F2D83A097C43496DA4C0034E1D16B8A41DC',201,X'7B226964223A226F62785F30316D386A323731656B65636D6178387430386D687832687963222C22737461747573223A2270656E64696E67222C22726571756573745F6964223A227265715F3031613232343233383564323731303661366539623938396238646335396663227D',1795902637523,0);
INSERT INTO "answers" VALUES(3,'key_01m8j2682be0gas3f5qkakqyx5','POST /v1/messages','k1',X'F09C42D69668D09B495A1999E7F8DA270F29D8CF6803C55DB36CA18B898D7966',201,X'7B226964223A226F62785F30316D386A323731656E656B6B7236306D636138396377763531222C22737461747573223A2270656E64696E67222C22726571756573745F6964223A227265715F3031613232343233383564353734653738333032386335316539383261643862227D',1795902637525,0);
INSERT INTO "answers" VALUES(4,'key_01m8j2682be0gas3f5qkakqyx5','POST /v1/messages','k2',X'3DAE6B3D083FC9CC79C8DF041FE0B23C7C708C94F460143B86E89D5B1DCBE724',201,X'7B226964223A226F62785F30316D386A3237316573656138747876643372616B687A686771222C22737461747573223A2270656E64696E67222C22726571756573745F6964223A227265715F3031613232343233383564383735613939343766313439636630646562663261227D',1795902637529,0);
INSERT INTO "answers" VALUES(5,'key_01m8j2682be0gas3f5qkakqyx5','POST /v1/webhooks/rotate','rot',X'725D15E4C7155C0ACC9E2741BDBD240BAA4926D628CA70DDE60CCD55C00C00BD',200,X'012DE0A0A3E380AB953A1E02EA99C39114B48E2CCF87D503F8D3A392A2F8C827DE1E47E6A1A3FFFD6F53CB497A6133C8C38E092E10E7BA7DCED62F55A295BD69D73454CBBD1332DD42FE87E13773826B654AA721AEF932060C4410073424A4957A8D326B2DBEDFACBAAA362092B641B555612A838C92E3F94D0F1CA9E5054FBBB59C155D5B7B339651475978B363E7782B6BFAFD22F29B165D71DFB9B75A4032F72EF6A146E03FFA010451C7C04ED4F91F292E6925B66AEA45CB059703C52DC03E53773CE38E15C6B0E2CA30ABAF6E8C6548769E7F888318132CBE56682730B52B24E88B539E5A7746A028AD3645B4E90C8D66D1F62117EB9B52DE4E344519106CD3D5153C9A67B2E31893B1BC1D27EDED4170B21C9754AA6AAEB6F177CE643F273A7D4D49A63AC98E14623974C5BAD4A78AD7D3FE2404EA412B2807C961EE21A5459CF2E8129550251CEA27855A1F20471EF8DD4275360A56B278A95ECB62C58B07500AC69BBABF52F7DDF9DC0E7B4C48AC53EC5072B522B7F5D342DDE59CBDF3E63E24F9C53F61D7D8FA3BEA3A8B4C2019D512BEB51F7BE2AEB6A61BDCCC77AB216AD69F9CE3460BE8A4EDB4F3DF5EBECDE60837CC050F9870E0D1CE5FC359E72169713EF0C4C15309D5D29D4B00E049E7A9A7D81923DDA565556465A600BADDA9022F1E43',1795902638604,1);
CREATE TABLE attempts (
    delivery_seq integer not null references deliveries (seq),
    -- Over all rounds, from 1.
    number integer not null,
    started_at integer not null,
    duration_ms integer not null,
    status integer,
    -- The start of the answer's body.
    answer text,
    error text,
    primary key (delivery_seq, number)
) strict, without rowid;
INSERT INTO "attempts" VALUES(2,1,1795902637491,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(4,1,1795902637499,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(6,1,1795902637507,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(8,1,1795902637511,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(10,1,1795902637519,1,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(12,1,1795902637528,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(14,1,1795902637530,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(16,1,1795902637535,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(16,2,1795902641573,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
INSERT INTO "attempts" VALUES(18,1,1795902637547,0,NULL,NULL,'the endpoint could not be reached: check that its name, address and port are right and open to this server');
CREATE TABLE bridges (
    seq integer primary key,
    id text not null unique,
    name text not null unique,
    driver text not null,
    token blob not null unique,
    last_seen_at integer,
    revoked_at integer,
    created_at integer not null
, link_epoch integer not null default 0) strict;
INSERT INTO "bridges" VALUES(1,'brg_01m8j2682de9dtsdjz6mbp6cdw','simulator','simulator',X'C3213A459B83A33AE2D360DA5F9C77CED0A2A322819956B852BFAA15CAF9F6B3',1795902637541,NULL,1795902611532,1);
CREATE TABLE "chats" (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    identifier text not null,
    is_group integer not null,
    service text not null,
    name text,
    participants text not null,
    has_received_inbound integer not null default 0,
    last_message_at integer,
    -- The seq of its newest message; 0 while there is none.
    last_seq integer not null default 0,
    -- A group never merges with a contact, whatever a driver calls it. With the account, because a
    -- phone that is paired with another account on the sandbox line begins another chat there.
    unique (line_id, account_id, identifier, is_group)
) strict;
INSERT INTO "chats" VALUES(1,'cht_01m8j271djekzrtzf2m2kymf8n','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','+15550100002',0,'iMessage',NULL,'["+15550100002"]',1,1795902637543,9);
INSERT INTO "chats" VALUES(2,'cht_01m8j271ebepa98y0ksgeyghv3','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','+15550100003',0,'iMessage',NULL,'["+15550100003"]',1,1795902637512,5);
INSERT INTO "chats" VALUES(3,'cht_01m8j271ehew28knhkds2syje3','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','simulated-group-01a22423-85d0-764e-9a6e-6363f73d9b21',1,'iMessage','Us','["+15550100002","+15550100003"]',0,NULL,0);
INSERT INTO "chats" VALUES(4,'cht_01m8j272fze7jsj677zrvs1kvj','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qtpm3bqm','+15550100009',0,'iMessage',NULL,'["+15550100009"]',1,1795902638596,11);
CREATE TABLE clock (
    id integer primary key check (id = 1),
    wall integer not null,
    steady integer not null,
    -- The machine's own count, comparable while `boot` is the same.
    machine integer not null,
    boot text,
    -- Steady time that only a wall clock told of, and that was not lived through since.
    unverified integer not null
) strict;
INSERT INTO "clock" VALUES(1,1795902611532,1795902611532,54589965,'60bf3d7f-a083-4a25-b805-461873973501',0);
CREATE TABLE deliveries (
    seq integer primary key,
    id text not null unique,
    -- No reference: what is over outlives its webhook until its event is pruned.
    webhook_id text not null,
    account_id text not null references accounts (id),
    event_seq integer not null references events (seq),
    -- due, delivered or failed
    status text not null,
    attempts integer not null default 0,
    -- While it is leased, the end of the lease. 0 once it was given back unattempted: such go in the
    -- order of seq, whatever the clock did meanwhile.
    due_at integer not null,
    last_error text,
    created_at integer not null,
    finished_at integer
, earlier_attempts integer not null default 0, round_at integer, started_at integer, duration_ms integer, answer_status integer, answer text) strict;
INSERT INTO "deliveries" VALUES(1,'dlv_01m8j271djekzrtzf2mdc2fn5b','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',3,'delivered',1,0,NULL,1795902637490,1795902637493,0,NULL,1795902637491,2,200,'ok');
INSERT INTO "deliveries" VALUES(2,'dlv_01m8j271djekzrtzf2mh2cwbve','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',3,'due',1,1795902642301,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637490,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(3,'dlv_01m8j271dpeyxsnffdepjrwen2','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',4,'delivered',1,0,NULL,1795902637494,1795902637501,0,NULL,1795902637499,1,200,'ok');
INSERT INTO "deliveries" VALUES(4,'dlv_01m8j271dpeyxsnffdevrzbsp7','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',4,'due',1,1795902642806,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637494,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(5,'dlv_01m8j271dzehy8t1m2mbt5ta1a','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',5,'delivered',1,0,NULL,1795902637501,1795902637509,0,NULL,1795902637507,2,200,'ok');
INSERT INTO "deliveries" VALUES(6,'dlv_01m8j271dzehy8t1m2me41vsbz','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',5,'due',1,1795902642619,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637501,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(7,'dlv_01m8j271e5erxvwxbs7kfhf5yy','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',6,'delivered',1,0,NULL,1795902637509,1795902637516,0,NULL,1795902637511,4,200,'ok');
INSERT INTO "deliveries" VALUES(8,'dlv_01m8j271e5erxvwxbs7pc4x14y','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',6,'due',1,1795902642902,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637509,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(9,'dlv_01m8j271ebepa98y0ksxvxjwpw','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',7,'delivered',1,0,NULL,1795902637512,1795902637521,0,NULL,1795902637519,2,200,'ok');
INSERT INTO "deliveries" VALUES(10,'dlv_01m8j271ebepa98y0kt3tvry4j','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',7,'due',1,1795902642462,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637512,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(11,'dlv_01m8j271epe8gtevfabsr4xzsp','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',8,'delivered',1,0,NULL,1795902637525,1795902637529,0,NULL,1795902637528,0,200,'ok');
INSERT INTO "deliveries" VALUES(12,'dlv_01m8j271epe8gtevfabzb5p0k5','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',8,'due',1,1795902641894,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637525,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(13,'dlv_01m8j271esea8txvd3rq4wjatz','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',9,'delivered',1,0,NULL,1795902637529,1795902637532,0,NULL,1795902637530,1,200,'ok');
INSERT INTO "deliveries" VALUES(14,'dlv_01m8j271esea8txvd3rssx6azr','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',9,'due',1,1795902642827,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637529,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(15,'dlv_01m8j271exejmbkb81wpypwexa','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',10,'delivered',1,0,NULL,1795902637533,1795902637535,0,NULL,1795902637534,1,200,'ok');
INSERT INTO "deliveries" VALUES(16,'dlv_01m8j271exejmbkb81wrkgcrh5','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',10,'due',2,1795902668910,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637533,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(17,'dlv_01m8j271f7ev8srhhwpjwky6fg','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',11,'delivered',1,0,NULL,1795902637543,1795902637547,0,NULL,1795902637546,0,200,'ok');
INSERT INTO "deliveries" VALUES(18,'dlv_01m8j271f7ev8srhhwpn39fn4j','wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz',11,'due',1,1795902642833,'the endpoint could not be reached: check that its name, address and port are right and open to this server',1795902637543,NULL,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(19,'dlv_01m8j272g0ewesea7tnjqbqxfn','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',24,'delivered',1,0,NULL,1795902638591,1795902638598,0,NULL,1795902638595,3,200,'ok');
INSERT INTO "deliveries" VALUES(20,'dlv_01m8j272g5ekvssx6ajjgn0w96','wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',25,'delivered',1,0,NULL,1795902638596,1795902638601,0,NULL,1795902638598,2,200,'ok');
CREATE TABLE events (
    seq integer primary key autoincrement,
    id text not null,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    chat_id text references chats (id),
    kind text not null,
    created_at integer not null,
    -- Byte for byte what is delivered.
    data text not null
) strict;
INSERT INTO "events" VALUES(1,'evt_01m8j26830e3s8g88cq70s2q9j','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p',NULL,'line.status',1795902611552,'{"id":"ln_01m8j2682be0gas3f5qdh0en0p","handle":"+15550100001","label":"Simulated line","service":"auto","is_active":true,"advanced_features":true,"capabilities":["audio_messages","replies","reactions","typing","read_receipts"],"is_sandbox":false,"online":true,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(2,'evt_01m8j26831ebavf6xke4cezafj','acc_01m8j2682be0gas3f5qn58netx','ln_01m8j2682be0gas3f5qtpm3bqm',NULL,'line.status',1795902611553,'{"id":"ln_01m8j2682be0gas3f5qtpm3bqm","handle":"+15550100000","label":"Sandbox","service":"auto","is_active":true,"advanced_features":true,"capabilities":["audio_messages","replies","reactions","typing","read_receipts"],"is_sandbox":true,"online":true,"line_handle":"+15550100000"}');
INSERT INTO "events" VALUES(3,'evt_01m8j271djekzrtzf2m8qjdm7k','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.received',1795902637490,'{"id":"msg_01m8j271djekzrtzf2m4ncv1cv","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85B1-7346-AD55-04C096AF7F11","sender":"+15550100002","text":"Hello 0","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637489,"synced_at":1795902637490,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(4,'evt_01m8j271dpeyxsnffdeh3zc1ve','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.received',1795902637494,'{"id":"msg_01m8j271dpeyxsnffdeemtqx06","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85B6-77BB-9ABD-ED722AA0CC80","sender":"+15550100002","text":"Hello 1","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637494,"synced_at":1795902637494,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(5,'evt_01m8j271dzehy8t1m2m4rv827f','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.received',1795902637501,'{"id":"msg_01m8j271dzehy8t1m2m04wnv19","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85BD-7747-9C40-F5A598448321","sender":"+15550100002","text":"Hello 2","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637501,"synced_at":1795902637501,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(6,'evt_01m8j271e5erxvwxbs7ft7a6j1','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.received',1795902637509,'{"id":"msg_01m8j271e5erxvwxbs79c0nvwv","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85C5-763B-BE75-793913A99C39","sender":"+15550100002","text":"Hello 3","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637509,"synced_at":1795902637509,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(7,'evt_01m8j271ebepa98y0ksr851102','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271ebepa98y0ksgeyghv3','message.received',1795902637512,'{"id":"msg_01m8j271ebepa98y0ksm3w8xvc","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271ebepa98y0ksgeyghv3","guid":"01A22423-85C8-706A-AB6F-12D8EA855694","sender":"+15550100003","text":"Zwei ✓","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637512,"synced_at":1795902637512,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(8,'evt_01m8j271epe8gtevfabqz86w2r','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.sent',1795902637525,'{"id":"msg_01m8j271epe8gtevfabk140cq9","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85D5-74E7-8302-8C5308175969","sender":"+15550100001","text":"Answer 0","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637525,"synced_at":1795902637525,"outbox_id":"obx_01m8j271ekecmax8t08mhx2hyc","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637525,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(9,'evt_01m8j271esea8txvd3rjdhgmb2','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.sent',1795902637529,'{"id":"msg_01m8j271esea8txvd3rew9zf2x","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85D9-7291-AEED-A3C1D0AD5670","sender":"+15550100001","text":"Answer 1","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637529,"synced_at":1795902637529,"outbox_id":"obx_01m8j271enekkr60mca89cwv51","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637529,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(10,'evt_01m8j271exejmbkb81wk1e4jac','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.sent',1795902637533,'{"id":"msg_01m8j271exejmbkb81wfsax9b6","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85DD-74A8-B9AD-01E2326CA2F1","sender":"+15550100001","text":"Answer 2","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637533,"synced_at":1795902637533,"outbox_id":"obx_01m8j271esea8txvd3rakhzhgq","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637533,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(11,'evt_01m8j271f7ev8srhhwpfv0c8m4','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.sent',1795902637543,'{"id":"msg_01m8j271f7ev8srhhwp8882q6h","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85E7-76D1-9C46-3CB1C6242917","sender":"+15550100001","text":"see","attachments":[{"filename":"a.png","mime_type":"image/png","size":48,"url":null,"transcription":null,"file_id":"file_01m8j271eweswak96gqqt5kwdx"}],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637543,"synced_at":1795902637543,"outbox_id":"obx_01m8j271f3ecdbc8j8n4s15z16","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637543,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(12,'evt_01m8j272eke8q9wfha6y4ngrdk','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','reaction.added',1795902638544,'{"id":"rxn_01m8j272eke8q9wfha6vp922cm","message_id":"msg_01m8j271djekzrtzf2m4ncv1cv","type":"love","sender":"+15550100001","is_from_me":true,"added":true,"sent_at":1795902638544,"synced_at":1795902638544,"chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(13,'evt_01m8j272emekk9e2wn7fvxt90q','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','reaction.added',1795902638548,'{"id":"rxn_01m8j272emekk9e2wn793y5fh4","message_id":"msg_01m8j271dpeyxsnffdeemtqx06","type":"like","sender":"+15550100002","is_from_me":false,"added":true,"sent_at":1795902638547,"synced_at":1795902638548,"chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(14,'evt_01m8j272eser79sd6s91500yng','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','typing.started',1795902638552,'{"id":"ind_01m8j272eser79sd6s8yrx780x","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","handle":"+15550100002","is_typing":true,"updated_at":1795902638552,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(15,'evt_01m8j272ewe718f5934e9dy50x','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','receipt.read',1795902638556,'{"id":"rcp_01m8j272ewe718f593488a3gjb","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","handle":"+15550100002","last_read_at":1795902638556,"synced_at":1795902638556,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(16,'evt_01m8j272ewe718f5934gcr9788','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638556,'{"id":"msg_01m8j271epe8gtevfabk140cq9","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85D5-74E7-8302-8C5308175969","sender":"+15550100001","text":"Answer 0","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637525,"synced_at":1795902637525,"outbox_id":"obx_01m8j271ekecmax8t08mhx2hyc","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637525,"read_at":1795902638556,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(17,'evt_01m8j272exenrt4jw2js2vpgg3','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638556,'{"id":"msg_01m8j271esea8txvd3rew9zf2x","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85D9-7291-AEED-A3C1D0AD5670","sender":"+15550100001","text":"Answer 1","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637529,"synced_at":1795902637529,"outbox_id":"obx_01m8j271enekkr60mca89cwv51","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637529,"read_at":1795902638556,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(18,'evt_01m8j272exenrt4jw2jz6fp7m2','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638556,'{"id":"msg_01m8j271exejmbkb81wfsax9b6","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85DD-74A8-B9AD-01E2326CA2F1","sender":"+15550100001","text":"Answer 2","attachments":[],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637533,"synced_at":1795902637533,"outbox_id":"obx_01m8j271esea8txvd3rakhzhgq","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637533,"read_at":1795902638556,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(19,'evt_01m8j272exenrt4jw2k00tjvhn','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638556,'{"id":"msg_01m8j271f7ev8srhhwp8882q6h","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85E7-76D1-9C46-3CB1C6242917","sender":"+15550100001","text":"see","attachments":[{"filename":"a.png","mime_type":"image/png","size":48,"url":null,"transcription":null,"file_id":"file_01m8j271eweswak96gqqt5kwdx"}],"service":"iMessage","is_from_me":true,"is_audio_message":false,"sent_at":1795902637543,"synced_at":1795902637543,"outbox_id":"obx_01m8j271f3ecdbc8j8n4s15z16","reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":1795902637543,"read_at":1795902638556,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(20,'evt_01m8j272f4eqsrpt775fx1y26b','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','typing.started',1795902638564,'{"id":"ind_01m8j272f4eqsrpt77580n5cvw","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","handle":"+15550100001","is_typing":true,"updated_at":1795902638564,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(21,'evt_01m8j272fce91a3qvkw4vfz8y3','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','receipt.read',1795902638572,'{"id":"rcp_01m8j272fce91a3qvkw03tye81","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","handle":"+15550100001","last_read_at":1795902638572,"synced_at":1795902638572,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(22,'evt_01m8j272fde2e8pg02b2cg5p15','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638572,'{"id":"msg_01m8j271dzehy8t1m2m04wnv19","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85BD-7747-9C40-F5A598448321","sender":"+15550100002","text":"Edited","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637501,"synced_at":1795902637501,"outbox_id":null,"reply_to_guid":null,"edited_at":1795902638572,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(23,'evt_01m8j272fgee68zpa1jjxdeg1x','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','message.updated',1795902638576,'{"id":"msg_01m8j271e5erxvwxbs79c0nvwv","line_id":"ln_01m8j2682be0gas3f5qdh0en0p","chat_id":"cht_01m8j271djekzrtzf2m2kymf8n","guid":"01A22423-85C5-763B-BE75-793913A99C39","sender":"+15550100002","text":null,"attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902637509,"synced_at":1795902637509,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":1795902638576,"delivered_at":null,"read_at":null,"line_handle":"+15550100001"}');
INSERT INTO "events" VALUES(24,'evt_01m8j272g0ewesea7tndhj1p6k','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qtpm3bqm','cht_01m8j272fze7jsj677zrvs1kvj','message.received',1795902638591,'{"id":"msg_01m8j272fze7jsj677zz710vd3","line_id":"ln_01m8j2682be0gas3f5qtpm3bqm","chat_id":"cht_01m8j272fze7jsj677zrvs1kvj","guid":"01A22423-89FF-71E5-9918-E7FDD51E64B3","sender":"+15550100009","text":"QL3PR7D9","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902638591,"synced_at":1795902638591,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100000"}');
INSERT INTO "events" VALUES(25,'evt_01m8j272g5ekvssx6ajfeps903','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qtpm3bqm','cht_01m8j272fze7jsj677zrvs1kvj','message.received',1795902638596,'{"id":"msg_01m8j272g5ekvssx6aj922zd1s","line_id":"ln_01m8j2682be0gas3f5qtpm3bqm","chat_id":"cht_01m8j272fze7jsj677zrvs1kvj","guid":"01A22423-8A04-7294-9C33-52ED9EE1B63C","sender":"+15550100009","text":"from the sandbox","attachments":[],"service":"iMessage","is_from_me":false,"is_audio_message":false,"sent_at":1795902638596,"synced_at":1795902638596,"outbox_id":null,"reply_to_guid":null,"edited_at":null,"unsent_at":null,"delivered_at":null,"read_at":null,"line_handle":"+15550100000"}');
CREATE TABLE files (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- The line that a bridge uploaded it for; null for an upload of the account.
    line_id text references lines (id),
    filename text,
    mime_type text not null,
    size integer not null,
    -- The SHA-256 of its bytes.
    content blob not null,
    created_at integer not null,
    -- Whether a message or an item refers to it, or ever did.
    is_referenced integer not null default 0
, uploader_line_ids text, sent_line_ids text, uses integer not null default 0, left_at integer) strict;
INSERT INTO "files" VALUES(1,'file_01m8j271eweswak96gqqt5kwdx','acc_01m8j2682aem7vqh2v7xrjdxgz',NULL,'a.png','image/png',48,X'D6F004D63AD9CE4E78E793E227DCD1C9907D790BDE6D5450F23BCA1DDA50C3B3',1795902637533,1,NULL,'["ln_01m8j2682be0gas3f5qdh0en0p"]',1,NULL);
CREATE TABLE key_usage (
    key_id text primary key references keys (id),
    window_start integer not null,
    used integer not null
) strict, without rowid;
INSERT INTO "key_usage" VALUES('key_01m8j2682be0gas3f5qkakqyx5',1795902637482,16);
CREATE TABLE keys (
    seq integer primary key,
    id text not null unique,
    account_id text references accounts (id),
    hash blob not null unique,
    name text not null,
    hint text not null,
    scopes text not null,
    line_ids text,
    rate_limit integer,
    expires_at integer,
    revoked_at integer,
    created_at integer not null
) strict;
INSERT INTO "keys" VALUES(1,'key_01m8j2682be0gas3f5qkakqyx5','acc_01m8j2682aem7vqh2v7xrjdxgz',X'8662BE5C6663A4927B1D8278ACB595553240DD565F1EA54B4C505C6F6B270E0C','Development','…hmeb','["messages:read","messages:write","chats:read","lines:read","outbox:read","reactions:read","reactions:write","typing:read","typing:write","receipts:read","receipts:write","webhooks:read","webhooks:write","files:read","files:write"]',NULL,NULL,NULL,NULL,1795902611530);
INSERT INTO "keys" VALUES(2,'key_01m8j272gbep3srx4rbk3rje4v','acc_01m8j2682aem7vqh2v7xrjdxgz',X'D8E044F9534BEC61891DB8850FF8B01317B79A4D43429AE6F8D8E1D090EA1CD6','narrow','…zsvd','["messages:read"]','["ln_01m8j2682be0gas3f5qdh0en0p"]',NULL,NULL,NULL,1795902638603);
CREATE TABLE line_positions (
    line_id text not null references lines (id),
    bridge_id text not null references bridges (id),
    position text not null,
    primary key (line_id, bridge_id)
) strict, without rowid;
INSERT INTO "line_positions" VALUES('ln_01m8j2682be0gas3f5qdh0en0p','brg_01m8j2682de9dtsdjz6mbp6cdw','01a22423204b7020ac8de5bf43913aa8:15');
INSERT INTO "line_positions" VALUES('ln_01m8j2682be0gas3f5qtpm3bqm','brg_01m8j2682de9dtsdjz6mbp6cdw','01a22423204b7020ac8de5bf43913aa8:2');
CREATE TABLE lines (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    handle text not null unique,
    label text,
    service text not null,
    is_active integer not null default 1,
    is_sandbox integer not null default 0,
    capabilities text not null default '[]',
    driver text not null,
    bridge_id text references bridges (id),
    contact_first integer not null) strict;
INSERT INTO "lines" VALUES(1,'ln_01m8j2682be0gas3f5qdh0en0p','acc_01m8j2682aem7vqh2v7xrjdxgz','+15550100001','Simulated line','auto',1,0,'["audio_messages","replies","reactions","typing","read_receipts"]','simulator','brg_01m8j2682de9dtsdjz6mbp6cdw',1);
INSERT INTO "lines" VALUES(2,'ln_01m8j2682be0gas3f5qtpm3bqm','acc_01m8j2682be0gas3f5qn58netx','+15550100000','Sandbox','auto',1,1,'["audio_messages","replies","reactions","typing","read_receipts"]','simulator','brg_01m8j2682de9dtsdjz6mbp6cdw',1);
CREATE TABLE marks (
    at integer primary key,
    event_seq integer not null,
    item_seq integer not null
) strict;
INSERT INTO "marks" VALUES(1795902611532,0,0);
CREATE TABLE messages (
    seq integer primary key,
    id text not null unique,
    line_id text not null references lines (id),
    chat_id text not null references chats (id),
    guid text not null,
    sender text not null,
    text text,
    attachments text not null,
    service text,
    is_from_me integer not null,
    is_audio_message integer,
    sent_at integer not null,
    synced_at integer not null,
    outbox_id text references outbox (id),
    reply_to_guid text, edited_at integer, unsent_at integer, delivered_at integer, read_at integer,
    unique (line_id, guid)
) strict;
INSERT INTO "messages" VALUES(1,'msg_01m8j271djekzrtzf2m4ncv1cv','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85B1-7346-AD55-04C096AF7F11','+15550100002','Hello 0','[]','iMessage',0,0,1795902637489,1795902637490,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(2,'msg_01m8j271dpeyxsnffdeemtqx06','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85B6-77BB-9ABD-ED722AA0CC80','+15550100002','Hello 1','[]','iMessage',0,0,1795902637494,1795902637494,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(3,'msg_01m8j271dzehy8t1m2m04wnv19','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85BD-7747-9C40-F5A598448321','+15550100002','Edited','[]','iMessage',0,0,1795902637501,1795902637501,NULL,NULL,1795902638572,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(4,'msg_01m8j271e5erxvwxbs79c0nvwv','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85C5-763B-BE75-793913A99C39','+15550100002',NULL,'[]','iMessage',0,0,1795902637509,1795902637509,NULL,NULL,NULL,1795902638576,NULL,NULL);
INSERT INTO "messages" VALUES(5,'msg_01m8j271ebepa98y0ksm3w8xvc','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271ebepa98y0ksgeyghv3','01A22423-85C8-706A-AB6F-12D8EA855694','+15550100003','Zwei ✓','[]','iMessage',0,0,1795902637512,1795902637512,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(6,'msg_01m8j271epe8gtevfabk140cq9','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85D5-74E7-8302-8C5308175969','+15550100001','Answer 0','[]','iMessage',1,0,1795902637525,1795902637525,'obx_01m8j271ekecmax8t08mhx2hyc',NULL,NULL,NULL,1795902637525,1795902638556);
INSERT INTO "messages" VALUES(7,'msg_01m8j271esea8txvd3rew9zf2x','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85D9-7291-AEED-A3C1D0AD5670','+15550100001','Answer 1','[]','iMessage',1,0,1795902637529,1795902637529,'obx_01m8j271enekkr60mca89cwv51',NULL,NULL,NULL,1795902637529,1795902638556);
INSERT INTO "messages" VALUES(8,'msg_01m8j271exejmbkb81wfsax9b6','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85DD-74A8-B9AD-01E2326CA2F1','+15550100001','Answer 2','[]','iMessage',1,0,1795902637533,1795902637533,'obx_01m8j271esea8txvd3rakhzhgq',NULL,NULL,NULL,1795902637533,1795902638556);
INSERT INTO "messages" VALUES(9,'msg_01m8j271f7ev8srhhwp8882q6h','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','01A22423-85E7-76D1-9C46-3CB1C6242917','+15550100001','see','[{"filename":"a.png","mime_type":"image/png","size":48,"url":null,"transcription":null,"file_id":"file_01m8j271eweswak96gqqt5kwdx"}]','iMessage',1,0,1795902637543,1795902637543,'obx_01m8j271f3ecdbc8j8n4s15z16',NULL,NULL,NULL,1795902637543,1795902638556);
INSERT INTO "messages" VALUES(10,'msg_01m8j272fze7jsj677zz710vd3','ln_01m8j2682be0gas3f5qtpm3bqm','cht_01m8j272fze7jsj677zrvs1kvj','01A22423-89FF-71E5-9918-E7FDD51E64B3','+15550100009','QL3PR7D9','[]','iMessage',0,0,1795902638591,1795902638591,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "messages" VALUES(11,'msg_01m8j272g5ekvssx6aj922zd1s','ln_01m8j2682be0gas3f5qtpm3bqm','cht_01m8j272fze7jsj677zrvs1kvj','01A22423-8A04-7294-9C33-52ED9EE1B63C','+15550100009','from the sandbox','[]','iMessage',0,0,1795902638596,1795902638596,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE nodes (
    id text primary key,
    -- Alive up to then, by the steady clock.
    until integer not null
) strict, without rowid;
CREATE TABLE outbox (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    line_id text not null references lines (id),
    chat_id text not null references chats (id),
    status text not null,
    attempts integer not null default 0,
    -- Who holds it, and until when; only while it is claimed.
    bridge_id text references bridges (id),
    lease_until integer,
    created_at integer not null,
    completed_at integer,
    error text,
    message_id text references messages (id),
    content text not null,
    payload text not null
, file_id text references files (id)) strict;
INSERT INTO "outbox" VALUES(1,'obx_01m8j271ekecmax8t08mhx2hyc','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902637523,1795902637525,NULL,'msg_01m8j271epe8gtevfabk140cq9','{"kind":"message","text":"Answer 0","attachments":[],"is_audio_message":false,"reply_to_guid":null}','{"from":"+15550100001","to":"+15550100002","text":"Answer 0"}',NULL);
INSERT INTO "outbox" VALUES(2,'obx_01m8j271enekkr60mca89cwv51','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902637525,1795902637529,NULL,'msg_01m8j271esea8txvd3rew9zf2x','{"kind":"message","text":"Answer 1","attachments":[],"is_audio_message":false,"reply_to_guid":null}','{"from":"+15550100001","to":"+15550100002","text":"Answer 1"}',NULL);
INSERT INTO "outbox" VALUES(3,'obx_01m8j271esea8txvd3rakhzhgq','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902637529,1795902637533,NULL,'msg_01m8j271exejmbkb81wfsax9b6','{"kind":"message","text":"Answer 2","attachments":[],"is_audio_message":false,"reply_to_guid":null}','{"from":"+15550100001","to":"+15550100002","text":"Answer 2"}',NULL);
INSERT INTO "outbox" VALUES(4,'obx_01m8j271f3ecdbc8j8n4s15z16','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902637539,1795902637543,NULL,'msg_01m8j271f7ev8srhhwp8882q6h','{"kind":"message","text":"see","attachments":[{"file_id":"file_01m8j271eweswak96gqqt5kwdx","filename":"a.png","mime_type":"image/png","size":48,"transcription":null}],"is_audio_message":false,"reply_to_guid":null}','{"from":"+15550100001","to":"+15550100002","text":"see","attachments":["file_01m8j271eweswak96gqqt5kwdx"]}',NULL);
INSERT INTO "outbox" VALUES(5,'obx_01m8j272edegkt93y82abc4cgp','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902638541,1795902638544,NULL,NULL,'{"kind":"reaction","message_guid":"01A22423-85B1-7346-AD55-04C096AF7F11","reaction_type":"love","remove":false}','{"from":"+15550100001","to":"+15550100002","message_id":"msg_01m8j271djekzrtzf2m4ncv1cv","type":"love"}',NULL);
INSERT INTO "outbox" VALUES(6,'obx_01m8j272f0eyes1a642yn7ezrv','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902638560,1795902638564,NULL,NULL,'{"kind":"typing","on":true}','{"from":"+15550100001","to":"+15550100002"}',NULL);
INSERT INTO "outbox" VALUES(7,'obx_01m8j272f4eqsrpt775qkx672j','acc_01m8j2682aem7vqh2v7xrjdxgz','ln_01m8j2682be0gas3f5qdh0en0p','cht_01m8j271djekzrtzf2m2kymf8n','sent',1,NULL,NULL,1795902638564,1795902638572,NULL,NULL,'{"kind":"read"}','{"from":"+15550100001","to":"+15550100002"}',NULL);
CREATE TABLE probe (
    id integer primary key check (id = 1),
    at integer not null
) strict;
CREATE TABLE reaction_guids (
    line_id text not null references lines (id),
    guid text not null,
    message_id text not null references messages (id),
    primary key (line_id, guid)
) strict, without rowid;
INSERT INTO "reaction_guids" VALUES('ln_01m8j2682be0gas3f5qdh0en0p','01A22423-89D3-722E-9E3E-2A39BDE44066','msg_01m8j271dpeyxsnffdeemtqx06');
CREATE TABLE reactions (
    seq integer primary key,
    id text not null unique,
    message_id text not null references messages (id),
    sender text not null,
    type text not null,
    is_from_me integer not null,
    added integer not null,
    sent_at integer not null,
    synced_at integer not null,
    unique (message_id, sender, type)
) strict;
INSERT INTO "reactions" VALUES(1,'rxn_01m8j272eke8q9wfha6vp922cm','msg_01m8j271djekzrtzf2m4ncv1cv','+15550100001','love',1,1,1795902638544,1795902638544);
INSERT INTO "reactions" VALUES(2,'rxn_01m8j272emekk9e2wn793y5fh4','msg_01m8j271dpeyxsnffdeemtqx06','+15550100002','like',0,1,1795902638547,1795902638548);
CREATE TABLE receipts (
    seq integer primary key,
    id text not null unique,
    chat_id text not null references chats (id),
    handle text not null,
    last_read_at integer not null,
    synced_at integer not null,
    unique (chat_id, handle)
) strict;
INSERT INTO "receipts" VALUES(1,'rcp_01m8j272ewe718f593488a3gjb','cht_01m8j271djekzrtzf2m2kymf8n','+15550100002',1795902638556,1795902638556);
INSERT INTO "receipts" VALUES(2,'rcp_01m8j272fce91a3qvkw03tye81','cht_01m8j271djekzrtzf2m2kymf8n','+15550100001',1795902638572,1795902638572);
CREATE TABLE replays (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- No reference: what is over outlives its webhook.
    webhook_id text not null,
    since integer not null,
    until integer not null,
    -- Whether what was delivered goes out again too.
    include_delivered integer not null,
    -- running or done
    status text not null,
    -- Where it began, up to where events were looked at, and where it ends: places in the order of events.
    first_place integer not null,
    place integer not null,
    last_place integer not null,
    -- How many deliveries it has made due.
    queued integer not null default 0,
    created_at integer not null,
    finished_at integer
, aged_from integer) strict;
INSERT INTO "replays" VALUES(1,'rpl_01m8j272gfe9trdv0h2m10jqwv','acc_01m8j2682aem7vqh2v7xrjdxgz','wh_01m8j271dbe3qrfeznb1vhq2fx',0,1795902638608,0,'done',0,25,25,0,1795902638607,1795902638608,1795902638608);
CREATE TABLE sandbox (
    account_id text primary key references accounts (id),
    -- Null once it was texted.
    code text unique,
    -- A phone is paired with one account at a time.
    contact text unique,
    activated_at integer,
    -- What was used on this day since the epoch, UTC. Stays when the pairing ends, so that a new
    -- code is no way round the quota.
    day integer not null default 0,
    used integer not null default 0
) strict, without rowid;
INSERT INTO "sandbox" VALUES('acc_01m8j2682aem7vqh2v7xrjdxgz',NULL,'+15550100009',1795902638591,0,0);
CREATE TABLE secrets (
    name text primary key,
    secret blob not null
) strict, without rowid;
INSERT INTO "secrets" VALUES('all sealed',X'01');
INSERT INTO "secrets" VALUES('cursors',X'01C3CC3AEC496E801C5677EA76A7101151721A23CB6B947044387B39D97EFC06B1FDBF91D739FFBC3CE496F95A29FB4E86A11D5E7AADA0ED130DC6B844');
INSERT INTO "secrets" VALUES('file urls',X'01C93B6D7C9BFA1EC98384E88B73C33A311D9D5612A2FA267CE2AE169035C1A37C8F416DFCC3003A1253C91E3505D33F3A1C7C1E02335A29D2026ABD35');
INSERT INTO "secrets" VALUES('key check',X'01A6B98FB10BE95ACCD0D3E1E921018A537A6DFFE4C3431837DABC6092186E22A0DC8FD12C39D838');
CREATE TABLE stored_bytes (
    account_id text primary key references accounts (id),
    bytes integer not null
) strict, without rowid;
INSERT INTO "stored_bytes" VALUES('acc_01m8j2682aem7vqh2v7xrjdxgz',48);
CREATE TABLE typing (
    seq integer primary key,
    id text not null unique,
    chat_id text not null references chats (id),
    handle text not null,
    is_typing integer not null,
    updated_at integer not null,
    unique (chat_id, handle)
) strict;
INSERT INTO "typing" VALUES(1,'ind_01m8j272eser79sd6s8yrx780x','cht_01m8j271djekzrtzf2m2kymf8n','+15550100002',1,1795902638552);
INSERT INTO "typing" VALUES(2,'ind_01m8j272f4eqsrpt77580n5cvw','cht_01m8j271djekzrtzf2m2kymf8n','+15550100001',1,1795902638564);
CREATE TABLE webhook_partitions (
    number integer primary key,
    node_id text,
    until integer not null default 0
) strict;
INSERT INTO "webhook_partitions" VALUES(0,NULL,0);
INSERT INTO "webhook_partitions" VALUES(255,NULL,0);
CREATE TABLE webhooks (
    seq integer primary key,
    id text not null unique,
    account_id text not null references accounts (id),
    -- Null: every line of the account.
    line_ids text,
    url text not null,
    events text not null,
    is_active integer not null default 1,
    secret text not null,
    created_at integer not null
, previous_secret text, previous_until integer, failing_since integer, last_failed_at integer, disabled_at integer, disabled_reason text, created_by text references keys (id), failing_from integer) strict;
INSERT INTO "webhooks" VALUES(1,'wh_01m8j271dbe3qrfeznb1vhq2fx','acc_01m8j2682aem7vqh2v7xrjdxgz',NULL,'http://127.0.0.1:7914/a','["message.received","message.sent","message.failed"]',1,'sealed:AVHINBR3IpfVc572eAYPymMPc7e8lEW402A39ivSfRH4tyHD7MrZUjwHOFlwEhE2TnvUfh6TlhRUC1NnGCgn1j131w1z5qa/Yi0H8s67Yg==',1795902637483,'sealed:AZwP6uET/ER/3o0mtgkG0lzVjV9n4QjL2yokreS+Dh+RgKIyZSR7z0/2V9VPXs16in1xNPBdiU5YCE3Dzhzx63zFgbKVa+OF9vvEvLzasg==',1795989038605,NULL,NULL,NULL,NULL,'key_01m8j2682be0gas3f5qkakqyx5',NULL);
INSERT INTO "webhooks" VALUES(2,'wh_01m8j271dfe7dv2a1h8f06dyyg','acc_01m8j2682aem7vqh2v7xrjdxgz','["ln_01m8j2682be0gas3f5qdh0en0p"]','http://127.0.0.1:7999/b','["message.received","message.sent"]',1,'sealed:AXc8CS6vsMdv5BpwzqiRZwmQDYGKZevxFULUgeZUQRB9hz82JCxagJ19o77+7WSApZtpHJtNNYTjG0ikfZ5g0mqXL0cwb/08pXMNZyuR1g==',1795902637487,NULL,NULL,1795902637492,1795902641574,NULL,NULL,'key_01m8j2682be0gas3f5qkakqyx5',1795902637492);
CREATE INDEX lines_by_account on lines (account_id);
CREATE INDEX lines_by_bridge on lines (bridge_id);
CREATE INDEX messages_by_chat on messages (chat_id);
CREATE INDEX outbox_pending on outbox (line_id, seq, chat_id) where status = 'pending';
CREATE INDEX outbox_claimed on outbox (bridge_id, lease_until) where status = 'claimed';
CREATE INDEX webhooks_by_account on webhooks (account_id);
CREATE INDEX deliveries_by_event on deliveries (event_seq);
CREATE UNIQUE INDEX lines_sandbox on lines (is_sandbox) where is_sandbox = 1;
CREATE INDEX chats_by_activity on chats (line_id, account_id, last_seq, seq);
CREATE INDEX typing_on on typing (updated_at) where is_typing = 1;
CREATE INDEX files_unreferenced on files (created_at) where is_referenced = 0;
CREATE INDEX outbox_files on outbox (file_id, bridge_id)
where status = 'claimed' and file_id is not null;
CREATE INDEX events_by_account on events (account_id);
CREATE VIEW shown_chats as
select * from chats
where line_id is not (select id from lines where is_sandbox = 1)
   or account_id = (select account_id from lines where is_sandbox = 1)
   or (is_group = 0 and exists (
        select 1 from sandbox
        where sandbox.account_id = chats.account_id and sandbox.contact = chats.identifier));
CREATE INDEX webhooks_rotated on webhooks (previous_until) where previous_until is not null;
CREATE INDEX replays_running on replays (seq) where status = 'running';
CREATE INDEX deliveries_failed on deliveries (webhook_id, event_seq, finished_at, status)
where status = 'failed';
CREATE INDEX replays_done on replays (aged_from) where status = 'done';
CREATE TRIGGER files_stored after insert on files begin
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;
CREATE TRIGGER files_forgotten after delete on files begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
end;
CREATE TRIGGER files_moved after update of account_id on files
when new.account_id <> old.account_id begin
    update stored_bytes set bytes = bytes - old.size where account_id = old.account_id;
    insert into stored_bytes (account_id, bytes) values (new.account_id, new.size)
    on conflict (account_id) do update set bytes = bytes + excluded.bytes;
end;
CREATE INDEX files_left on files (left_at) where is_referenced = 2;
CREATE INDEX deliveries_due on deliveries (webhook_id, due_at, seq) where status = 'due';
-- As if the newest events had been pruned.
UPDATE sqlite_sequence SET seq = 40;
COMMIT;
PRAGMA user_version = 13;
