-- What the audit reads and the decision log must not hold. Role audit owns the tables; role gateway may only insert
-- attributes and outcomes, and read verdicts. Each statement can be run again at any time.
CREATE TABLE IF NOT EXISTS attributes (
    decision_id uuid PRIMARY KEY,
    model text NOT NULL,
    values jsonb NOT NULL,
    at timestamptz NOT NULL
);

CREATE TABLE IF NOT EXISTS outcomes (
    decision_id uuid PRIMARY KEY,
    outcome text NOT NULL,
    at timestamptz NOT NULL
);

-- The verdicts of each model's last audit.
CREATE TABLE IF NOT EXISTS verdicts (
    model text NOT NULL,
    mlflow_version text NOT NULL,
    attribute text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('pass', 'fail', 'not assessable')),
    run_id text NOT NULL,
    measured_at timestamptz NOT NULL,
    PRIMARY KEY (model, mlflow_version, attribute)
);
