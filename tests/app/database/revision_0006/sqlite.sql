-- A new ledger on SQLite, as the version before migration 0007 made it (iterdump).
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE artefacts (
	sha256 TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	bytes BLOB NOT NULL, 
	CONSTRAINT pk_artefacts PRIMARY KEY (sha256)
);
CREATE TABLE champions (
	model_version TEXT NOT NULL, 
	model TEXT NOT NULL, 
	plan_sha256 TEXT NOT NULL, 
	reference_sha256 TEXT NOT NULL, 
	replaced TEXT, 
	trained_from TEXT, 
	trained_until TEXT NOT NULL, 
	training_rows INTEGER NOT NULL, 
	as_of TEXT NOT NULL, 
	cycle TEXT NOT NULL, 
	registry_run TEXT, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_champions PRIMARY KEY (model_version)
);
CREATE TABLE checkpoints (
	size INTEGER NOT NULL, 
	root BLOB NOT NULL, 
	note TEXT NOT NULL, 
	signed_at TEXT NOT NULL, 
	CONSTRAINT pk_checkpoints PRIMARY KEY (size)
);
CREATE TABLE contracts (
	digest TEXT NOT NULL, 
	model TEXT NOT NULL, 
	document TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_contracts PRIMARY KEY (digest)
);
CREATE TABLE cycles (
	cycle TEXT NOT NULL, 
	model TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	as_of TEXT NOT NULL, 
	status TEXT NOT NULL, 
	outcome TEXT, 
	conclusion TEXT, 
	training_completed INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	started_at TEXT NOT NULL, 
	started_position INTEGER NOT NULL, 
	ended_at TEXT, 
	ended_position INTEGER, 
	state TEXT NOT NULL, 
	CONSTRAINT pk_cycles PRIMARY KEY (cycle)
);
CREATE TABLE decisions (
	position INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	model TEXT NOT NULL, 
	cycle TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	as_of TEXT NOT NULL, 
	occurred_at TEXT NOT NULL, 
	recorded_at TEXT NOT NULL, 
	sentence TEXT NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (position), 
	CONSTRAINT uq_decisions_id UNIQUE (id)
);
CREATE TABLE entries (
	position INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	stream TEXT NOT NULL, 
	stream_version INTEGER NOT NULL, 
	type TEXT NOT NULL, 
	schema INTEGER NOT NULL, 
	occurred_at TEXT NOT NULL, 
	recorded_at TEXT NOT NULL, 
	bytes BLOB NOT NULL, 
	leaf_hash BLOB NOT NULL, 
	request_digest BLOB, 
	CONSTRAINT pk_entries PRIMARY KEY (position), 
	CONSTRAINT uq_entries_id UNIQUE (id), 
	CONSTRAINT uq_entries_stream_stream_version UNIQUE (stream, stream_version)
);
CREATE TABLE labels (
	position INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	event_time TEXT NOT NULL, 
	label DOUBLE, 
	"row" TEXT NOT NULL, 
	prediction_id TEXT, 
	CONSTRAINT pk_labels PRIMARY KEY (position)
);
CREATE TABLE ledger_head (
	id INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	frontier BLOB NOT NULL, 
	CONSTRAINT pk_ledger_head PRIMARY KEY (id)
);
INSERT INTO "ledger_head" VALUES(1,0,X'');
CREATE TABLE models (
	model TEXT NOT NULL, 
	contract_digest TEXT NOT NULL, 
	contract TEXT NOT NULL, 
	contract_position INTEGER NOT NULL, 
	policy TEXT NOT NULL, 
	target TEXT NOT NULL, 
	champion TEXT, 
	plan_sha256 TEXT, 
	reference_sha256 TEXT, 
	champion_since TEXT, 
	champion_as_of TEXT, 
	champion_cycle TEXT, 
	trained_until TEXT, 
	registry_run TEXT, 
	promoted_position INTEGER, 
	last_cycle TEXT, 
	last_as_of TEXT, 
	last_retraining_as_of TEXT, 
	consumed_until INTEGER, 
	cycles_started INTEGER NOT NULL, 
	cycles_ended INTEGER NOT NULL, 
	decisions INTEGER NOT NULL, 
	trainings INTEGER NOT NULL, 
	candidates INTEGER NOT NULL, 
	rejections INTEGER NOT NULL, 
	promotions INTEGER NOT NULL, 
	rollbacks INTEGER NOT NULL, 
	health TEXT, 
	health_at TEXT, 
	health_position INTEGER, 
	CONSTRAINT pk_models PRIMARY KEY (model)
);
CREATE TABLE payloads (
	position INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	salt BLOB NOT NULL, 
	bytes BLOB NOT NULL, 
	request_digest BLOB, 
	CONSTRAINT pk_payloads PRIMARY KEY (position)
);
CREATE TABLE policies (
	digest TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	document TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_policies PRIMARY KEY (digest)
);
CREATE TABLE predictions (
	position INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	model TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	event_time TEXT NOT NULL, 
	model_version TEXT NOT NULL, 
	prediction DOUBLE NOT NULL, 
	"row" TEXT NOT NULL, 
	CONSTRAINT pk_predictions PRIMARY KEY (position), 
	CONSTRAINT uq_predictions_id UNIQUE (id)
);
CREATE TABLE refusals (
	position INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	door TEXT NOT NULL, 
	rows INTEGER NOT NULL, 
	reasons TEXT NOT NULL, 
	recorded_at TEXT NOT NULL, 
	CONSTRAINT pk_refusals PRIMARY KEY (position)
);
CREATE TABLE tiles (
	level INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	root BLOB NOT NULL, 
	bytes BLOB NOT NULL, 
	CONSTRAINT pk_tiles PRIMARY KEY (level, number)
);
CREATE TRIGGER entries_refuse_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER entries_refuse_delete BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'entries only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER entries_refuse_replace BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE position = NEW.position) OR EXISTS (SELECT 1 FROM entries WHERE id = NEW.id) OR EXISTS (SELECT 1 FROM entries WHERE stream = NEW.stream AND stream_version = NEW.stream_version) BEGIN SELECT RAISE(ABORT, 'entries only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER artefacts_refuse_update BEFORE UPDATE ON artefacts BEGIN SELECT RAISE(ABORT, 'artefacts only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER artefacts_refuse_replace BEFORE INSERT ON artefacts WHEN EXISTS (SELECT 1 FROM artefacts WHERE sha256 = NEW.sha256) BEGIN SELECT RAISE(ABORT, 'artefacts only grows: nothing in it is changed, replaced or removed'); END;
CREATE INDEX ix_champions_model ON champions (model);
CREATE INDEX ix_cycles_model_number ON cycles (model, number);
CREATE INDEX ix_cycles_status ON cycles (status);
CREATE INDEX ix_decisions_model_position ON decisions (model, position);
CREATE INDEX ix_labels_model_identity_position ON labels (model, identity, position);
CREATE INDEX ix_predictions_model_event_time ON predictions (model, event_time);
CREATE INDEX ix_predictions_model_identity_position ON predictions (model, identity, position);
CREATE INDEX ix_refusals_model_position ON refusals (model, position);
CREATE TRIGGER tiles_refuse_update BEFORE UPDATE ON tiles BEGIN SELECT RAISE(ABORT, 'tiles only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER tiles_refuse_delete BEFORE DELETE ON tiles BEGIN SELECT RAISE(ABORT, 'tiles only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER tiles_refuse_replace BEFORE INSERT ON tiles WHEN EXISTS (SELECT 1 FROM tiles WHERE level = NEW.level AND number = NEW.number) BEGIN SELECT RAISE(ABORT, 'tiles only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER checkpoints_refuse_update BEFORE UPDATE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER checkpoints_refuse_delete BEFORE DELETE ON checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER checkpoints_refuse_replace BEFORE INSERT ON checkpoints WHEN EXISTS (SELECT 1 FROM checkpoints WHERE size = NEW.size) BEGIN SELECT RAISE(ABORT, 'checkpoints only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER ledger_head_refuse_update BEFORE UPDATE ON ledger_head WHEN NEW.size < OLD.size OR NEW.id <> OLD.id BEGIN SELECT RAISE(ABORT, 'ledger_head only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER ledger_head_refuse_delete BEFORE DELETE ON ledger_head BEGIN SELECT RAISE(ABORT, 'ledger_head only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER ledger_head_refuse_insert BEFORE INSERT ON ledger_head BEGIN SELECT RAISE(ABORT, 'ledger_head only grows: nothing in it is changed, replaced or removed'); END;
CREATE INDEX ix_payloads_model_identity ON payloads (model, identity);
CREATE TRIGGER payloads_refuse_delete BEFORE DELETE ON payloads WHEN NOT (EXISTS (SELECT 1 FROM entries AS erasure, json_each(CAST(erasure.bytes AS TEXT), '$.data.entries') AS erased WHERE erasure.stream = 'ledger' AND erasure.type = 'ledger.payload-erased' AND erased.value = OLD.position)) BEGIN SELECT RAISE(ABORT, 'payloads only grows: nothing in it is removed but what a recorded erasure names'); END;
CREATE TRIGGER artefacts_refuse_delete BEFORE DELETE ON artefacts WHEN NOT (EXISTS (SELECT 1 FROM entries AS erasure, json_each(CAST(erasure.bytes AS TEXT), '$.data.artefacts') AS erased WHERE erasure.stream = 'ledger' AND erasure.type = 'ledger.payload-erased' AND erased.value = OLD.sha256) AND OLD.kind IN ('reference', 'identities')) BEGIN SELECT RAISE(ABORT, 'artefacts only grows: nothing in it is removed but what a recorded erasure names'); END;
CREATE TRIGGER payloads_refuse_update BEFORE UPDATE ON payloads BEGIN SELECT RAISE(ABORT, 'payloads only grows: nothing in it is changed, replaced or removed'); END;
CREATE TRIGGER payloads_refuse_replace BEFORE INSERT ON payloads WHEN EXISTS (SELECT 1 FROM payloads WHERE position = NEW.position) BEGIN SELECT RAISE(ABORT, 'payloads only grows: nothing in it is changed, replaced or removed'); END;
COMMIT;
