"""What the engine raises when its input makes no sense."""


class EngineError(ValueError):
    """Base of the engine's errors."""


class ScenarioError(EngineError):
    """A scenario, draw model or batch of draws does not fit what is asked of it."""


class DesignError(EngineError):
    """A beam design cannot be made as asked."""
