-- A new ledger on PostgreSQL, as the version before migration 0007 made it (pg_dump --inserts).
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.whyledger_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% only grows: nothing in it is changed, replaced or removed', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$;
ALTER FUNCTION public.whyledger_refuse() OWNER TO whyledger_owner;
CREATE FUNCTION public.whyledger_refuse_unerased() RETURNS trigger
    LANGUAGE plpgsql
    AS $_$ DECLARE named boolean; BEGIN EXECUTE format('SELECT EXISTS (SELECT FROM %I.entries WHERE stream = ''ledger'' AND type = ''ledger.payload-erased'' AND convert_from(bytes, ''UTF8'')::jsonb -> ''data'' -> $1 @> $2)', TG_TABLE_SCHEMA) INTO named USING TG_ARGV[1], to_jsonb(OLD) -> TG_ARGV[0]; IF named AND (TG_TABLE_NAME <> 'artefacts' OR to_jsonb(OLD) ->> 'kind' IN ('reference', 'identities')) THEN RETURN OLD; END IF; RAISE EXCEPTION '% only grows: nothing in it is removed but what a recorded erasure names', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $_$;
ALTER FUNCTION public.whyledger_refuse_unerased() OWNER TO whyledger_owner;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
ALTER TABLE public.alembic_version OWNER TO whyledger_owner;
CREATE TABLE public.artefacts (
    sha256 text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    bytes bytea NOT NULL
);
ALTER TABLE public.artefacts OWNER TO whyledger_owner;
CREATE TABLE public.champions (
    model_version text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    plan_sha256 text NOT NULL COLLATE pg_catalog."C",
    reference_sha256 text NOT NULL COLLATE pg_catalog."C",
    replaced text COLLATE pg_catalog."C",
    trained_from text COLLATE pg_catalog."C",
    trained_until text NOT NULL COLLATE pg_catalog."C",
    training_rows integer NOT NULL,
    as_of text NOT NULL COLLATE pg_catalog."C",
    cycle text NOT NULL COLLATE pg_catalog."C",
    registry_run text COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);
ALTER TABLE public.champions OWNER TO whyledger_owner;
CREATE TABLE public.checkpoints (
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE public.checkpoints OWNER TO whyledger_owner;
CREATE TABLE public.contracts (
    digest text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    document text NOT NULL,
    "position" bigint NOT NULL
);
ALTER TABLE public.contracts OWNER TO whyledger_owner;
CREATE TABLE public.cycles (
    cycle text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    number integer NOT NULL,
    as_of text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    outcome text COLLATE pg_catalog."C",
    conclusion text COLLATE pg_catalog."C",
    training_completed integer NOT NULL,
    attempts integer NOT NULL,
    started_at text NOT NULL COLLATE pg_catalog."C",
    started_position bigint NOT NULL,
    ended_at text COLLATE pg_catalog."C",
    ended_position bigint,
    state text NOT NULL
);
ALTER TABLE public.cycles OWNER TO whyledger_owner;
CREATE TABLE public.decisions (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    cycle text NOT NULL COLLATE pg_catalog."C",
    outcome text NOT NULL COLLATE pg_catalog."C",
    as_of text NOT NULL COLLATE pg_catalog."C",
    occurred_at text NOT NULL COLLATE pg_catalog."C",
    recorded_at text NOT NULL COLLATE pg_catalog."C",
    sentence text NOT NULL,
    body text NOT NULL
);
ALTER TABLE public.decisions OWNER TO whyledger_owner;
CREATE TABLE public.entries (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    stream text NOT NULL COLLATE pg_catalog."C",
    stream_version bigint NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    schema integer NOT NULL,
    occurred_at text NOT NULL COLLATE pg_catalog."C",
    recorded_at text NOT NULL COLLATE pg_catalog."C",
    bytes bytea NOT NULL,
    leaf_hash bytea NOT NULL,
    request_digest bytea
);
ALTER TABLE public.entries OWNER TO whyledger_owner;
CREATE TABLE public.labels (
    "position" bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    identity text NOT NULL COLLATE pg_catalog."C",
    event_time text NOT NULL COLLATE pg_catalog."C",
    label double precision,
    "row" text NOT NULL,
    prediction_id text COLLATE pg_catalog."C"
);
ALTER TABLE public.labels OWNER TO whyledger_owner;
CREATE TABLE public.ledger_head (
    id integer NOT NULL,
    size bigint NOT NULL,
    frontier bytea NOT NULL
);
ALTER TABLE public.ledger_head OWNER TO whyledger_owner;
CREATE TABLE public.models (
    model text NOT NULL COLLATE pg_catalog."C",
    contract_digest text NOT NULL COLLATE pg_catalog."C",
    contract text NOT NULL,
    contract_position bigint NOT NULL,
    policy text NOT NULL COLLATE pg_catalog."C",
    target text NOT NULL COLLATE pg_catalog."C",
    champion text COLLATE pg_catalog."C",
    plan_sha256 text COLLATE pg_catalog."C",
    reference_sha256 text COLLATE pg_catalog."C",
    champion_since text COLLATE pg_catalog."C",
    champion_as_of text COLLATE pg_catalog."C",
    champion_cycle text COLLATE pg_catalog."C",
    trained_until text COLLATE pg_catalog."C",
    registry_run text COLLATE pg_catalog."C",
    promoted_position bigint,
    last_cycle text COLLATE pg_catalog."C",
    last_as_of text COLLATE pg_catalog."C",
    last_retraining_as_of text COLLATE pg_catalog."C",
    consumed_until bigint,
    cycles_started integer NOT NULL,
    cycles_ended integer NOT NULL,
    decisions integer NOT NULL,
    trainings integer NOT NULL,
    candidates integer NOT NULL,
    rejections integer NOT NULL,
    promotions integer NOT NULL,
    rollbacks integer NOT NULL,
    health text,
    health_at text COLLATE pg_catalog."C",
    health_position bigint
);
ALTER TABLE public.models OWNER TO whyledger_owner;
CREATE TABLE public.payloads (
    "position" bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    identity text NOT NULL COLLATE pg_catalog."C",
    salt bytea NOT NULL,
    bytes bytea NOT NULL,
    request_digest bytea
);
ALTER TABLE public.payloads OWNER TO whyledger_owner;
CREATE TABLE public.policies (
    digest text NOT NULL COLLATE pg_catalog."C",
    policy text NOT NULL COLLATE pg_catalog."C",
    version integer NOT NULL,
    document text NOT NULL,
    "position" bigint NOT NULL
);
ALTER TABLE public.policies OWNER TO whyledger_owner;
CREATE TABLE public.predictions (
    "position" bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    model text NOT NULL COLLATE pg_catalog."C",
    identity text NOT NULL COLLATE pg_catalog."C",
    event_time text NOT NULL COLLATE pg_catalog."C",
    model_version text NOT NULL COLLATE pg_catalog."C",
    prediction double precision NOT NULL,
    "row" text NOT NULL
);
ALTER TABLE public.predictions OWNER TO whyledger_owner;
CREATE TABLE public.refusals (
    "position" bigint NOT NULL,
    model text NOT NULL COLLATE pg_catalog."C",
    door text NOT NULL COLLATE pg_catalog."C",
    rows integer NOT NULL,
    reasons text NOT NULL,
    recorded_at text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE public.refusals OWNER TO whyledger_owner;
CREATE TABLE public.tiles (
    level integer NOT NULL,
    number bigint NOT NULL,
    root bytea NOT NULL,
    bytes bytea NOT NULL
);
ALTER TABLE public.tiles OWNER TO whyledger_owner;
INSERT INTO public.alembic_version VALUES ('0006');
INSERT INTO public.ledger_head VALUES (1, 0, '\x');
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.artefacts
    ADD CONSTRAINT pk_artefacts PRIMARY KEY (sha256);
ALTER TABLE ONLY public.champions
    ADD CONSTRAINT pk_champions PRIMARY KEY (model_version);
ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT pk_checkpoints PRIMARY KEY (size);
ALTER TABLE ONLY public.contracts
    ADD CONSTRAINT pk_contracts PRIMARY KEY (digest);
ALTER TABLE ONLY public.cycles
    ADD CONSTRAINT pk_cycles PRIMARY KEY (cycle);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT pk_decisions PRIMARY KEY ("position");
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT pk_entries PRIMARY KEY ("position");
ALTER TABLE ONLY public.labels
    ADD CONSTRAINT pk_labels PRIMARY KEY ("position");
ALTER TABLE ONLY public.ledger_head
    ADD CONSTRAINT pk_ledger_head PRIMARY KEY (id);
ALTER TABLE ONLY public.models
    ADD CONSTRAINT pk_models PRIMARY KEY (model);
ALTER TABLE ONLY public.payloads
    ADD CONSTRAINT pk_payloads PRIMARY KEY ("position");
ALTER TABLE ONLY public.policies
    ADD CONSTRAINT pk_policies PRIMARY KEY (digest);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT pk_predictions PRIMARY KEY ("position");
ALTER TABLE ONLY public.refusals
    ADD CONSTRAINT pk_refusals PRIMARY KEY ("position");
ALTER TABLE ONLY public.tiles
    ADD CONSTRAINT pk_tiles PRIMARY KEY (level, number);
ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT uq_decisions_id UNIQUE (id);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT uq_entries_id UNIQUE (id);
ALTER TABLE ONLY public.entries
    ADD CONSTRAINT uq_entries_stream_stream_version UNIQUE (stream, stream_version);
ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT uq_predictions_id UNIQUE (id);
CREATE INDEX ix_champions_model ON public.champions USING btree (model);
CREATE INDEX ix_cycles_model_number ON public.cycles USING btree (model, number);
CREATE INDEX ix_cycles_status ON public.cycles USING btree (status);
CREATE INDEX ix_decisions_model_position ON public.decisions USING btree (model, "position");
CREATE INDEX ix_labels_model_identity_position ON public.labels USING btree (model, identity, "position");
CREATE INDEX ix_payloads_model_identity ON public.payloads USING btree (model, identity);
CREATE INDEX ix_predictions_model_event_time ON public.predictions USING btree (model, event_time);
CREATE INDEX ix_predictions_model_identity_position ON public.predictions USING btree (model, identity, "position");
CREATE INDEX ix_refusals_model_position ON public.refusals USING btree (model, "position");
CREATE TRIGGER artefacts_refuse_change BEFORE UPDATE ON public.artefacts FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.artefacts ENABLE ALWAYS TRIGGER artefacts_refuse_change;
CREATE TRIGGER artefacts_refuse_delete BEFORE DELETE ON public.artefacts FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse_unerased('sha256', 'artefacts');
ALTER TABLE public.artefacts ENABLE ALWAYS TRIGGER artefacts_refuse_delete;
CREATE TRIGGER artefacts_refuse_truncate BEFORE TRUNCATE ON public.artefacts FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.artefacts ENABLE ALWAYS TRIGGER artefacts_refuse_truncate;
CREATE TRIGGER checkpoints_refuse_change BEFORE DELETE OR UPDATE ON public.checkpoints FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.checkpoints ENABLE ALWAYS TRIGGER checkpoints_refuse_change;
CREATE TRIGGER checkpoints_refuse_truncate BEFORE TRUNCATE ON public.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.checkpoints ENABLE ALWAYS TRIGGER checkpoints_refuse_truncate;
CREATE TRIGGER entries_refuse_change BEFORE DELETE OR UPDATE ON public.entries FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.entries ENABLE ALWAYS TRIGGER entries_refuse_change;
CREATE TRIGGER entries_refuse_truncate BEFORE TRUNCATE ON public.entries FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.entries ENABLE ALWAYS TRIGGER entries_refuse_truncate;
CREATE TRIGGER ledger_head_refuse_change BEFORE UPDATE ON public.ledger_head FOR EACH ROW WHEN (((new.size < old.size) OR (new.id <> old.id))) EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.ledger_head ENABLE ALWAYS TRIGGER ledger_head_refuse_change;
CREATE TRIGGER ledger_head_refuse_other BEFORE INSERT OR DELETE ON public.ledger_head FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.ledger_head ENABLE ALWAYS TRIGGER ledger_head_refuse_other;
CREATE TRIGGER ledger_head_refuse_truncate BEFORE TRUNCATE ON public.ledger_head FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.ledger_head ENABLE ALWAYS TRIGGER ledger_head_refuse_truncate;
CREATE TRIGGER payloads_refuse_change BEFORE UPDATE ON public.payloads FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.payloads ENABLE ALWAYS TRIGGER payloads_refuse_change;
CREATE TRIGGER payloads_refuse_delete BEFORE DELETE ON public.payloads FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse_unerased('position', 'entries');
ALTER TABLE public.payloads ENABLE ALWAYS TRIGGER payloads_refuse_delete;
CREATE TRIGGER payloads_refuse_truncate BEFORE TRUNCATE ON public.payloads FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.payloads ENABLE ALWAYS TRIGGER payloads_refuse_truncate;
CREATE TRIGGER tiles_refuse_change BEFORE DELETE OR UPDATE ON public.tiles FOR EACH ROW EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.tiles ENABLE ALWAYS TRIGGER tiles_refuse_change;
CREATE TRIGGER tiles_refuse_truncate BEFORE TRUNCATE ON public.tiles FOR EACH STATEMENT EXECUTE FUNCTION public.whyledger_refuse();
ALTER TABLE public.tiles ENABLE ALWAYS TRIGGER tiles_refuse_truncate;
GRANT ALL ON SCHEMA public TO whyledger_owner;
GRANT USAGE ON SCHEMA public TO whyledger_app;
GRANT SELECT ON TABLE public.alembic_version TO whyledger_app;
GRANT SELECT,INSERT ON TABLE public.artefacts TO whyledger_app;
GRANT DELETE ON TABLE public.artefacts TO whyledger_eraser;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.champions TO whyledger_app;
GRANT SELECT,INSERT ON TABLE public.checkpoints TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.contracts TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.cycles TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.decisions TO whyledger_app;
GRANT SELECT,INSERT ON TABLE public.entries TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.labels TO whyledger_app;
GRANT SELECT,INSERT,UPDATE ON TABLE public.ledger_head TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.models TO whyledger_app;
GRANT SELECT,INSERT ON TABLE public.payloads TO whyledger_app;
GRANT DELETE ON TABLE public.payloads TO whyledger_eraser;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.policies TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.predictions TO whyledger_app;
GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE public.refusals TO whyledger_app;
GRANT SELECT,INSERT ON TABLE public.tiles TO whyledger_app;
