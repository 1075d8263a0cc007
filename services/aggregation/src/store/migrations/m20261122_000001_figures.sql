-- The reports that were taken in; a unit has one for a regime and period.
CREATE TABLE report (
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (regime, period, unit_id)
);
-- Their figures. The key begins with what a roll-up asks for. No date is the empty text, as a key needs a value.
CREATE TABLE value (
    regime text NOT NULL,
    period text NOT NULL,
    indicator text NOT NULL,
    category text NOT NULL,
    role text NOT NULL,
    unit_id uuid NOT NULL,
    start_date text NOT NULL,
    end_date text NOT NULL,
    report_name text NOT NULL,
    -- The count, or the part of a ratio; null: a percentage without its parts.
    part bigint,
    -- The whole of a ratio; null: a count.
    whole bigint,
    approximate boolean NOT NULL,
    PRIMARY KEY (regime, period, indicator, category, role, unit_id, start_date, end_date)
);
